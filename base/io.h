/* base/io.h - files and pipes that may take less than they are given at a time. */
#ifndef BASE_IO_H
#define BASE_IO_H
#include "base/sv.h"
#include <stdlib.h>
#include <unistd.h>

/* Blocks until all of it is written. 0 or -errno. */
int write_all(int fd, struct sv bytes);

/* For SCOPED: what a function that reads or writes a file has to give back on each of its ways out. */
static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void freep(char **p)
{
	free(*p);
}

#endif
