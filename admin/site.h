/* admin/site.h - the files of one directory in memory: a page of ours for browsers. Read once, at start; so what is asked for is looked up
 * by its name and never becomes a path. Afterwards constant: any thread. Private to admin/. */
#ifndef ADMIN_SITE_H
#define ADMIN_SITE_H
#include "base/sv.h"

enum site_limits {
	SITE_FILES_MAX = 64,
	SITE_NAME_MAX = 64,
	SITE_BYTES_MAX = 8 << 20, /* of all files together */
};

struct site;

struct site_file {
	char name[SITE_NAME_MAX];
	const char *type;         /* media type, by the name's end */
	struct sv bytes;
};

/* Regular files of `dir` itself whose names say a type we know; hidden ones and links are no part of it. `*left_out` counts those that
 * could not be read or have no room. 0, -ENOMEM, or why the directory could not be read. */
int site_new(struct site **out, const char *dir, unsigned *left_out);
void site_free(struct site *s);
/* "/" is index.html, "/a.js" is a.js. NULL: there is none. */
const struct site_file *site_find(const struct site *s, struct sv path);

#endif
