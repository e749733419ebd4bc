/* base/log_line.h - one log line from a format string of key=value pairs. Used by log.c and its tests. */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H
#include "base/log.h"
#include <stdarg.h>
#include <stddef.h>

enum { LOG_LINE = 1008 }; /* most bytes of a line, its newline included */

/* Writes the line for `unix_ms` into `out` and returns its length, newline included. A line that would be longer is
 * cut at a character, loses its remaining pairs and ends with cut=true.
 *
 * `fmt` is walked, not handed to printf: words separated by spaces, each `key=value`; a literal part of a value that
 * holds spaces stands in double quotes. A word without `=` is the value of the key `msg`. Each conversion is
 * formatted alone and what comes out is data: it can end neither its value nor the line. %s %c %d %i %u %o %x %X %p
 * %f %e %g %a %m and %% with width, precision, `*` and all length modifiers; flags other than `0` and the width of
 * %s are ignored. In JSON a value that is one decimal conversion is a number, everything else a string. */
size_t log_line(char out[LOG_LINE], enum log_format format, enum log_level level, uint64_t unix_ms,
		const char *event, const char *fmt, va_list args);

#endif
