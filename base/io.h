/* base/io.h - files and pipes that may take less than they are given at a time. */
#ifndef BASE_IO_H
#define BASE_IO_H
#include "base/sv.h"

/* Blocks until all of it is written. 0 or -errno. */
int write_all(int fd, struct sv bytes);

#endif
