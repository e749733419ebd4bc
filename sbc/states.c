#include "sbc/states.h"
#include "base/tlv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FILE_MAGIC = 1, FILE_WISH = 2, /* fields: the numbers are for ever */
	FILE_MAX = 64 + WISHES_MAX * (WISH_RECORD_MAX + 3),
	PATH_ROOM = 1100,
};

static const char magic[] = "sbc destinations";

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void path_of(struct sv directory, const char *suffix, char path[PATH_ROOM])
{
	snprintf(path, PATH_ROOM, "%.*s/destinations.tlv%s", SV_ARG(directory), suffix);
}

/* Reading ----------------------------------------------------------------------------------------------------------- */

int states_read(struct wishes *w, struct sv bytes)
{
	struct sv field_bytes;
	uint8_t field;
	int err = tlv_next(&bytes, &field, &field_bytes);

	if (err || field != FILE_MAGIC || !sv_eq(field_bytes, sv_from(magic)))
		return -EBADMSG;
	while (!(err = tlv_next(&bytes, &field, &field_bytes))) {
		if (field != FILE_WISH)
			continue;
		err = wishes_merge(w, NULL, field_bytes, 0);
		if (err && err != -EALREADY)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}

/* 0 with `*text` to be freed, or -errno. */
static int read_file(const char *path, char **text, size_t *len)
{
	SCOPED(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (st.st_size > FILE_MAX)
		return -EFBIG;
	if (!(*text = malloc((size_t)st.st_size + 1)))
		return -ENOMEM;
	for (*len = 0; *len < (size_t)st.st_size; *len += (size_t)got)
		if ((got = read(fd, *text + *len, (size_t)st.st_size - *len)) <= 0) {
			free(*text);
			return got ? -errno : -EIO;
		}
	return 0;
}

void states_load(struct wishes *w, struct sv directory, struct log *log)
{
	char path[PATH_ROOM], bad[PATH_ROOM], *text = NULL;
	size_t len = 0;
	int err;

	path_of(directory, "", path);
	path_of(directory, ".bad", bad);
	err = read_file(path, &text, &len);
	if (err == -ENOENT)
		return;
	if (!err) {
		err = states_read(w, (struct sv){ text, len });
		free(text);
	}
	wishes_are_saved(w);
	if (!err)
		return;
	log_error(log, "destinations.unreadable", "file=%s error=%s kept_as=%s", path, strerror(-err), bad);
	if (rename(path, bad))
		log_error(log, "destinations.unreadable", "file=%s error=%s", bad, strerror(errno));
}

/* Writing ----------------------------------------------------------------------------------------------------------- */

static void put_record(void *ctx, struct sv record)
{
	tlv_put(ctx, FILE_WISH, record);
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) ? -errno : 0;
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

static int replace_file(struct sv directory, struct sv bytes)
{
	char path[PATH_ROOM], next[PATH_ROOM];
	int err;

	path_of(directory, "", path);
	path_of(directory, ".new", next);
	{
		SCOPED(closep) int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

		err = fd < 0 ? -errno : write_all(fd, bytes.p, bytes.len);
	}
	if (!err && rename(next, path))
		err = -errno;
	if (err) {
		unlink(next);
		return err;
	}
	return sync_directory(directory);
}

int states_save(struct wishes *w, struct sv directory)
{
	size_t room = 64 + wishes_count(w) * (WISH_RECORD_MAX + 3);
	char *area = malloc(room);
	struct tlv_out o;
	int err;

	if (!area)
		return -ENOMEM;
	tlv_init(&o, area, room);
	tlv_put(&o, FILE_MAGIC, sv_from(magic));
	wishes_export(w, put_record, &o);
	err = o.is_full ? -EMSGSIZE : replace_file(directory, (struct sv){ area, o.len });
	if (!err)
		wishes_are_saved(w);
	free(area);
	return err;
}
