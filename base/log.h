/* base/log.h - asynchronous log: a bounded ring and a writer thread of its own. A full disk or a stopped
 * reader costs lines and a counter, never a caller's time. Lines are logfmt or JSON; the format string
 * holds key=value pairs (base/log_line.h says which). Values from outside must go through %s: control bytes, quotes,
 * backslashes and spaces in string values are escaped/quoted by the log. */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log;

struct log_params {
	const char *path; /* NULL: standard error */
	enum log_format format;
	enum log_level level;
	unsigned lines;   /* ring size; 0 = 8192 */
};

/* 0 or -errno (file cannot be opened). */
int log_new(struct log **out, const struct log_params *p);
/* Writes what is left (waits at most a second for a stuck reader) and ends the thread. */
void log_free(struct log *l);
/* Any thread; async-signal-safe: the writer reopens the file. */
void log_reopen(struct log *l);
void log_set_level(struct log *l, enum log_level level);
uint64_t log_lost(const struct log *l);
bool log_is_on(const struct log *l, enum log_level level);
/* Use the macros. `l` may be NULL: nothing is logged. */
void log_write(struct log *l, enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define log_at(l, level, event, ...) \
	do { \
		if (log_is_on((l), (level))) \
			log_write((l), (level), (event), __VA_ARGS__); \
	} while (0)
#define log_error(l, event, ...) log_at(l, LOG_ERROR, event, __VA_ARGS__)
#define log_warn(l, event, ...) log_at(l, LOG_WARN, event, __VA_ARGS__)
#define log_info(l, event, ...) log_at(l, LOG_INFO, event, __VA_ARGS__)
#define log_debug(l, event, ...) log_at(l, LOG_DEBUG, event, __VA_ARGS__)

#endif
