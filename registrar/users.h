/* registrar/users.h - who has which password: one interface for all sources of users, whether they answer at once or later, and the
 * source there is: files of `user:realm:ha1`, and users written in the configuration. */
#ifndef REGISTRAR_USERS_H
#define REGISTRAR_USERS_H
#include "base/counters.h"
#include "base/log.h"
#include "conf/conf.h"
#include "registrar/digest.h"

enum users_limits {
	USERS_FILE_MAX = 512 << 20,  /* bytes */
	USERS_REALM_MAX = CONF_REALM_MAX,
	USERS_AORS_MAX = 255,        /* bytes of the other AORs of one user */
	USERS_OLD_MAX = 8,           /* sets that some worker may still use: until one goes, no file is read again */
	USERS_WORKERS_MAX = 64,
};

/* What a source says of a user. */
struct user_keys {
	uint8_t algorithms;          /* bits: 1 << enum digest_algorithm */
	uint8_t aors_len;
	uint8_t ha1[DIGEST_ALGORITHMS][DIGEST_KEY_MAX];
	char aors[USERS_AORS_MAX];   /* "alias,+4930123": what else may be theirs in the domain, beside what they are called */
};

/* May who has these keys speak for `name`, the user part of an AOR of `host`, or a telephone number? */
bool user_owns(const struct user_keys *k, struct sv user, struct sv name, struct sv host);

/* A question that is answered later; part of whatever waits for it. */
struct user_ask {
	/* Once, on the thread that asked. 0, or -ENOENT: nobody is called that; else the source cannot say. `keys` is borrowed. */
	void (*answer)(struct user_ask *ask, int err, const struct user_keys *keys);
	void *source_data;           /* the source's */
};

/* One per worker. `domain` says where to look: who is asked for is one of its realm. */
struct user_source {
	/* At once. 0: `*keys` is filled. -ENOENT: nobody is called that. -EINPROGRESS: it has to be asked. Else it cannot say. */
	int (*find)(struct user_source *s, const struct conf_registrar *domain, struct sv user, struct user_keys *keys);
	/* Later. 0: ask->answer comes, not before this returns. Else it cannot say. */
	int (*ask)(struct user_source *s, const struct conf_registrar *domain, struct sv user, struct user_ask *ask);
	/* Nobody waits any more. */
	void (*cancel)(struct user_source *s, struct user_ask *ask);
	/* Bits of the algorithms that all users there have, so that a challenge can offer them. */
	unsigned (*algorithms)(struct user_source *s, const struct conf_registrar *domain);
};

/* Files and the configuration ---------------------------------------------------------------------------------------- */

/* An immutable table of users. */
struct user_table;
struct user_fault {
	size_t line;                 /* 0: the whole */
	const char *why;
};
/* Lines `user:realm:ha1` or `user:realm:ha1:aor,aor`; 32 hexadecimal digits of ha1 are MD5, 64 are SHA-256, and a user may have a line
 * for each. Empty lines and those that begin with # are passed over. `text` is taken (free()). 0; -EBADMSG or -ENOMEM: `text` is gone,
 * too. */
int user_table_new(struct user_table **out, char *text, size_t len, struct user_fault *fault);
void user_table_free(struct user_table *t);
/* 0 or -ENOENT. In about the same time for everybody. */
int user_table_find(const struct user_table *t, struct sv user, struct sv realm, struct user_keys *keys);
size_t user_table_lines(const struct user_table *t);
/* As user_source.algorithms. */
unsigned user_table_algorithms(const struct user_table *t);

/* All tables of a configuration, kept in step with their files by the control thread; workers read them without locks. */
struct users;
struct user_set;

/* 0 or -ENOMEM. */
int users_new(struct users **out, unsigned workers, struct log *log);
void users_free(struct users *u);
/* Reads what `c` names, and publishes it, before `c` itself is published. A file that cannot be read leaves what was read of it
 * before, or a source that cannot say; a line in the log. 0; -ENOMEM or -EBUSY (USERS_OLD_MAX): nothing changed. */
int users_adopt(struct users *u, const struct conf *c);
/* Reads again what has changed since; frees what no worker uses any more. */
void users_poll(struct users *u);
enum users_counter { USERS_FILES_READ, USERS_FILES_REFUSED, USERS_COUNTERS };
extern const struct counter_def users_counter_defs[USERS_COUNTERS];
/* Written by the control thread. */
const struct counters *users_counters(const struct users *u);

/* A worker's source. */
struct user_reader {
	struct user_source source;
	struct users *users;
	const struct user_set *set;
	unsigned worker;
};
void user_reader_init(struct user_reader *r, struct users *users, unsigned worker);
/* At the top of a turn: what it saw before may be freed from now on. */
void user_reader_adopt(struct user_reader *r);

#endif
