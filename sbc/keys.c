#include "sbc/keys.h"
#include "base/io.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int hex_value(char c)
{
	char low = c | 0x20;

	if (c >= '0' && c <= '9')
		return c - '0';
	return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static int key_parse(const char *text, ssize_t len, uint8_t out[TOKEN_SECRET_LEN])
{
	for (unsigned i = 0; i < TOKEN_SECRET_LEN; i++) {
		int hi = len >= (ssize_t)(2 * i + 2) ? hex_value(text[2 * i]) : -1, lo = hi < 0 ? -1 : hex_value(text[2 * i + 1]);

		if (lo < 0)
			return -EBADMSG;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

static int key_read(const char *path, uint8_t out[TOKEN_SECRET_LEN], char *error, size_t size)
{
	SCOPED(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[2 * TOKEN_SECRET_LEN + 2];
	ssize_t got;

	if (fd < 0) {
		int err = errno;

		snprintf(error, size, "%s: %s", path, strerror(err));
		return -err;
	}
	got = read(fd, text, sizeof(text));
	if (key_parse(text, got, out)) {
		snprintf(error, size, "%s: an identity key is one line of 64 hexadecimal digits", path);
		return -EBADMSG;
	}
	return 0;
}

static int make_directory(const char *path, char *error, size_t size)
{
	char part[512];
	size_t len = strlen(path);

	if (len >= sizeof(part)) {
		snprintf(error, size, "state: path too long");
		return -ENAMETOOLONG;
	}
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0750) && errno != EEXIST) {
			int err = errno;

			snprintf(error, size, "%s: cannot make the state directory: %s", part, strerror(err));
			return -err;
		}
	}
	return 0;
}

static int key_make(const char *path, char *error, size_t size)
{
	SCOPED(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint8_t secret[TOKEN_SECRET_LEN] = { 0 };
	char text[2 * TOKEN_SECRET_LEN + 2];
	int err = fd < 0 ? -errno : random_bytes(secret, sizeof(secret));

	for (unsigned i = 0; !err && i < TOKEN_SECRET_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", secret[i]);
	text[2 * TOKEN_SECRET_LEN] = '\n';
	if (!err)
		err = write_all(fd, (struct sv){ text, 2 * TOKEN_SECRET_LEN + 1 });
	if (!err && fsync(fd))
		err = -errno;
	if (err)
		snprintf(error, size, "%s: cannot write the identity key: %s", path, strerror(-err));
	return err;
}

int keys_load(const struct conf *c, uint8_t secrets[TOKEN_KEYS_MAX][TOKEN_SECRET_LEN], unsigned *n, char *error, size_t size)
{
	char path[1024];
	int err;

	for (*n = 0; *n < c->n_identity_keys && *n < TOKEN_KEYS_MAX; (*n)++) {
		snprintf(path, sizeof(path), "%.*s", SV_ARG(c->identity_keys[*n]));
		if ((err = key_read(path, secrets[*n], error, size)))
			return err;
	}
	if (*n)
		return 0;
	snprintf(path, sizeof(path), "%.*s", SV_ARG(c->state));
	if ((err = make_directory(path, error, size)))
		return err;
	snprintf(path, sizeof(path), "%.*s/identity.key", SV_ARG(c->state));
	if (access(path, F_OK) && (err = key_make(path, error, size)))
		return err;
	*n = 1;
	return key_read(path, secrets[0], error, size);
}
