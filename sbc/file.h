/* sbc/file.h - small files of the state directory, read and replaced whole. Control thread. */
#ifndef SBC_FILE_H
#define SBC_FILE_H
#include "base/sv.h"

/* `*bytes` is the caller's to free(). 0, -ENOENT, -EFBIG (more than `most`), -ENOMEM, or what the system says. */
int file_read(struct sv directory, const char *name, size_t most, char **bytes, size_t *len);
/* Written beside it, synced and put in its place by one rename. 0, or -errno: then the old one is still there, whole. */
int file_replace(struct sv directory, const char *name, struct sv bytes);
/* Renamed to NAME.bad. 0 or -errno. */
int file_put_aside(struct sv directory, const char *name);

#endif
