#include "sbc/file.h"
#include "base/io.h"
#include "base/list.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 1200 };

static void path_of(struct sv directory, const char *name, const char *suffix, char path[PATH_ROOM])
{
	snprintf(path, PATH_ROOM, "%.*s/%s%s", SV_ARG(directory), name, suffix);
}

int file_read(struct sv directory, const char *name, size_t most, char **bytes, size_t *len)
{
	char path[PATH_ROOM];
	SCOPED(closep) int fd = -1;
	struct stat st;
	ssize_t got;

	path_of(directory, name, "", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if ((size_t)st.st_size > most)
		return -EFBIG;
	if (!(*bytes = malloc((size_t)st.st_size + 1)))
		return -ENOMEM;
	for (*len = 0; *len < (size_t)st.st_size; *len += (size_t)got)
		if ((got = read(fd, *bytes + *len, (size_t)st.st_size - *len)) <= 0) {
			free(STEAL(*bytes));
			return got ? -errno : -EIO;
		}
	return 0;
}

/* The name has to be on the disk, too. */
static int sync_directory(struct sv directory)
{
	char path[PATH_ROOM];
	SCOPED(closep) int fd = -1;

	snprintf(path, sizeof(path), "%.*s", SV_ARG(directory));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? -errno : 0;
}

int file_replace(struct sv directory, const char *name, struct sv bytes)
{
	char path[PATH_ROOM], next[PATH_ROOM];
	int err;

	path_of(directory, name, "", path);
	path_of(directory, name, ".new", next);
	{
		SCOPED(closep) int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

		err = fd < 0 ? -errno : write_all(fd, bytes);
		if (!err && fsync(fd))
			err = -errno;
	}
	if (!err && rename(next, path))
		err = -errno;
	if (err) {
		unlink(next);
		return err;
	}
	return sync_directory(directory);
}

int file_put_aside(struct sv directory, const char *name)
{
	char path[PATH_ROOM], bad[PATH_ROOM];

	path_of(directory, name, "", path);
	path_of(directory, name, ".bad", bad);
	return rename(path, bad) ? -errno : 0;
}
