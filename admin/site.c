#include "admin/site.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct site {
	struct site_file file[SITE_FILES_MAX];
	unsigned n;
	size_t bytes;
};

static const struct {
	const char *end, *type;
} types[] = {
	{ ".html", "text/html; charset=utf-8" }, { ".css", "text/css; charset=utf-8" }, { ".js", "text/javascript; charset=utf-8" },
	{ ".svg", "image/svg+xml" }, { ".png", "image/png" }, { ".txt", "text/plain; charset=utf-8" },
};

static const char *type_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	for (unsigned i = 0; dot && i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(dot, types[i].end) == 0)
			return types[i].type;
	return NULL;
}

static int read_all(int fd, char *to, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = read(fd, to + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO; /* shorter than it was: somebody is writing it */
		at += (size_t)n;
	}
	return 0;
}

static int read_file(int fd, size_t room, struct sv *out)
{
	struct stat st;
	char *bytes;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > room)
		return -EFBIG;
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return -ENOMEM;
	if ((err = read_all(fd, bytes, (size_t)st.st_size))) {
		free(bytes);
		return err;
	}
	*out = (struct sv){ bytes, (size_t)st.st_size };
	return 0;
}

static int add(struct site *s, int dir, const char *name, const char *type)
{
	struct site_file *f = &s->file[s->n];
	int fd, err;

	if (s->n == SITE_FILES_MAX || strlen(name) >= SITE_NAME_MAX)
		return -ENOSPC;
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = read_file(fd, SITE_BYTES_MAX - s->bytes, &f->bytes);
	close(fd);
	if (err)
		return err;
	memcpy(f->name, name, strlen(name) + 1);
	f->type = type;
	s->bytes += f->bytes.len;
	s->n++;
	return 0;
}

static int add_all(struct site *s, DIR *d, unsigned *left_out)
{
	const struct dirent *e;

	*left_out = 0;
	while ((e = readdir(d))) {
		const char *type = *e->d_name == '.' ? NULL : type_of(e->d_name);
		int err = type ? add(s, dirfd(d), e->d_name, type) : 0;

		if (err == -ENOMEM)
			return err;
		*left_out += err != 0;
	}
	return 0;
}

int site_new(struct site **out, const char *dir, unsigned *left_out)
{
	struct site *s;
	DIR *d = opendir(dir);
	int err;

	if (!d)
		return -errno;
	s = calloc(1, sizeof(*s));
	err = s ? add_all(s, d, left_out) : -ENOMEM;
	closedir(d);
	if (err) {
		site_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void site_free(struct site *s)
{
	for (unsigned i = 0; s && i < s->n; i++)
		free((char *)s->file[i].bytes.p);
	free(s);
}

const struct site_file *site_find(const struct site *s, struct sv path)
{
	struct sv name = sv_eq(path, SV("/")) ? SV("index.html") : sv_skip(path, 1);

	for (unsigned i = 0; s && path.len && *path.p == '/' && i < s->n; i++)
		if (sv_eq(name, sv_from(s->file[i].name)))
			return &s->file[i];
	return NULL;
}
