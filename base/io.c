#include "base/io.h"
#include <errno.h>
#include <unistd.h>

int write_all(int fd, struct sv bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.p, bytes.len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			bytes = sv_skip(bytes, (size_t)n);
	}
	return 0;
}
