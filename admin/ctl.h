/* admin/ctl.h - the control socket: verbs that modules register, asked by sbcctl. It knows none of them. Everything here runs
 * on the control thread.
 *
 * Wire: one question per connection. Question: length of what follows (4 bytes, big-endian, 1..CTL_REQUEST_MAX), flags
 * (1 byte: CTL_FLAG_JSON), then the verb and its arguments, each ended by NUL. Answer: frames of kind (1 byte), length
 * (4 bytes, big-endian) and as many bytes; kinds: 'o' for standard output, 'e' for standard error, 'w' still waiting (empty,
 * every CTL_BEAT_MS), 'x' the exit code in one byte, which is the last. A client that closes, or says more than its
 * question, is gone. */
#ifndef ADMIN_CTL_H
#define ADMIN_CTL_H
#include "base/counters.h"
#include "base/sv.h"

struct event_base;
struct ctl;
struct ctl_reply;

enum ctl_limits {
	CTL_REQUEST_MAX = 65536,
	CTL_ARGS_MAX = 64,
	CTL_CONNECTIONS_MAX = 64,
	CTL_VERBS_MAX = 64,
	CTL_COLUMNS_MAX = 24,
	CTL_ROWS_MAX = 16 << 20,   /* bytes of a table's cells; rows beyond are left out, and the answer says so and fails */
	CTL_ANSWER_MAX = 64 << 20, /* bytes of one answer as it is sent; a longer one fails as a whole */
	CTL_REQUEST_MS = 5000,     /* to ask, once connected */
	CTL_ANSWER_MS = 5000,      /* to answer, unless ctl_wait */
	CTL_STALL_MS = 10000,      /* a reader that takes nothing for so long is dropped */
	CTL_BEAT_MS = 5000,
	CTL_PROGRESS_MAX = 16384,  /* bytes of progress that wait for their reader */
	CTL_PATH_MAX = 107,        /* sun_path */
};

enum ctl_flags { CTL_FLAG_JSON = 1 };
enum ctl_exit { CTL_OK, CTL_FAILED, CTL_USAGE };

enum ctl_counter {
	CTL_REQUESTS, CTL_REFUSED_CONNECTIONS, CTL_BAD_REQUESTS, CTL_TIMED_OUT, CTL_SLOW_READERS, CTL_TRUNCATED, CTL_COUNTERS
};

/* Listens on Unix socket `path` (mode 0660; its directory is made if only that is missing). What a dead process left there is
 * replaced; `path`.lock, locked while the process lives, tells the dead from the living. 0, -EADDRINUSE (a living
 * process answers there), -ENOTSOCK (a file of another kind), -ENAMETOOLONG, -ENOMEM, or what the system says. */
int ctl_new(struct ctl **out, struct event_base *loop, const char *path);
/* Clients are cut off; replies not yet done hear on_gone and stay their holders' until ctl_done. */
void ctl_free(struct ctl *c);
const struct counters *ctl_counters(const struct ctl *c);

/* Answers now or later, by ctl_done or ctl_fail, exactly once. argv[0] is the verb; argv[argc] is NULL; all of it
 * lasts until the handler returns. */
typedef void ctl_handler(void *ctx, struct ctl_reply *r, int argc, char **argv);
/* `verb`, `usage` (what follows the verb: "POOL/NAME [--wait]") and `help` (one line) are kept as pointers. 0, -EEXIST, -ENOSPC.
 * "help" is there from the start. */
int ctl_register(struct ctl *c, const char *verb, const char *usage, const char *help, ctl_handler *handler, void *ctx);

/* The answer: at most one table, then text, then notes. What does not fit into memory makes it fail as a whole; nobody need
 * check. After its client has gone (or its time is up) a reply takes everything as before, for nobody. */

struct ctl_cell {
	enum { CELL_NONE, CELL_STR, CELL_U64, CELL_BOOL, CELL_MS } kind;
	union {
		struct sv str; /* copied; may be hostile */
		uint64_t u64;  /* also milliseconds and bool */
	};
};
static inline struct ctl_cell cell_none(void) /* "-", null */
{
	return (struct ctl_cell){ .kind = CELL_NONE };
}
static inline struct ctl_cell cell_sv(struct sv v)
{
	return (struct ctl_cell){ .kind = CELL_STR, .str = v };
}
static inline struct ctl_cell cell_str(const char *s)
{
	return cell_sv(sv_from(s));
}
static inline struct ctl_cell cell_u64(uint64_t v)
{
	return (struct ctl_cell){ .kind = CELL_U64, .u64 = v };
}
static inline struct ctl_cell cell_bool(bool v) /* yes or no; true or false */
{
	return (struct ctl_cell){ .kind = CELL_BOOL, .u64 = v };
}
static inline struct ctl_cell cell_ms(uint64_t ms) /* a duration: "3.4s", "2h05m"; in JSON milliseconds */
{
	return (struct ctl_cell){ .kind = CELL_MS, .u64 = ms };
}

/* Names are JSON keys as given, and headings in capitals without "_ms"; kept as pointers. Once, before the rows. */
void ctl_columns(struct ctl_reply *r, unsigned n, ...); /* n times const char * */
void ctl_row_cells(struct ctl_reply *r, const struct ctl_cell *cells, size_t n);
/* ctl_row(r, cell_str(name), cell_u64(load)): as many cells as columns; what is missing is none. */
#define ctl_row(r, ...) \
	ctl_row_cells((r), (const struct ctl_cell[]){ __VA_ARGS__ }, \
	              sizeof((const struct ctl_cell[]){ __VA_ARGS__ }) / sizeof(struct ctl_cell))
/* Free text (metrics, what `check` found): byte for byte, so the caller vouches for it; in JSON {"text": "..."}. */
void ctl_text(struct ctl_reply *r, struct sv text);
/* A line for people behind the table; not in JSON. */
void ctl_note(struct ctl_reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The exit code when it is not 0 although the answer stands (`check` that found errors). */
void ctl_exit_code(struct ctl_reply *r, int code);
/* Over, with this line on standard error instead of an answer. */
void ctl_fail(struct ctl_reply *r, int exit_code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* ctl_fail with the verb's usage and CTL_USAGE. */
void ctl_fail_usage(struct ctl_reply *r);
void ctl_done(struct ctl_reply *r);

/* This answer may take as long as it likes (drain --wait). */
void ctl_wait(struct ctl_reply *r);
/* A line of its own, sent now, ahead of the answer (after ctl_wait): for people, or JSON where ctl_is_json. Left out while the reader has
 * not taken the last ones. */
void ctl_progress(struct ctl_reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool ctl_is_json(const struct ctl_reply *r);
/* As cell_ms shows it: "3.4s", "2h05m". */
const char *ctl_duration(uint64_t ms, char room[24]);
/* Called once when nobody waits for the answer any more; the holder still ends the reply (also from inside). */
void ctl_on_gone(struct ctl_reply *r, void (*on_gone)(void *ctx, struct ctl_reply *r), void *ctx);
/* Who asks: the name that /etc/passwd has for him, else "uid 1000". */
const char *ctl_actor(const struct ctl_reply *r);

#endif
