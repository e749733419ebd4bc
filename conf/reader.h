/* conf/reader.h - walks a YAML document along the schema and fills a snapshot. Private to conf/. */
#ifndef CONF_READER_H
#define CONF_READER_H
#include <yaml.h>
#include "base/arena.h"
#include "base/nearest.h"
#include "conf/live.h"
#include "conf/schema.h"

struct compiled_regex; /* in a list of the arena: the snapshot frees them */

struct conf_arena {
	struct arena arena;
	struct conf conf;
	struct compiled_regex *regexes;
};

enum { READER_PATH_MAX = 512, READER_ARENA_MAX = 64 << 20 };

struct reader {
	struct conf *conf;
	struct arena *arena;
	struct conf_notes *notes;
	const struct conf_live *live;      /* NULL: the file alone */
	yaml_document_t *doc;
	struct conf_mark mark;             /* of the value being read */
	struct conf_mark key_mark;         /* of its key, or its own */
	char path[READER_PATH_MAX];
	size_t path_len;
	unsigned depth;
	unsigned later;                    /* > 0: inside a part that is not active */
	size_t visited;
	bool is_default;                   /* what is read is a default, not written */
	bool has_variable;                 /* the value's text holds something out of the environment */
	unsigned errors_before;            /* the header rule being read */
	bool has_message_variable;         /* it holds ${from-user} or the like, left for headers.c */
	bool is_stopped;                   /* a bound of the whole file was passed: one note, then silence */
	int err;                           /* -ENOMEM; everything returns early */
};

/* The whole document. Problems are notes; only memory is an error. */
int reader_run(struct reader *r);

/* A scalar's text into the struct that its row belongs to; the defaults of all rows below `row`. */
void reader_set(struct reader *r, const struct row *row, struct sv text, void *into);
void reader_defaults(struct reader *r, const struct row *row, void *into);
/* `*bytes`: the caller's to free(), at most one byte longer than CONF_FILE_MAX. 0 or -errno. */
int reader_file(const char *file, char **bytes, size_t *len);

/* libyaml counts from 0. */
static inline struct conf_mark reader_mark(const yaml_mark_t *mark)
{
	return (struct conf_mark){ (unsigned)mark->line + 1, (unsigned)mark->column + 1 };
}

/* Notes at the value being read. */
void note_error(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void note_warning(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Zeroed, or NULL with r->err set. */
void *reader_alloc(struct reader *r, size_t size);
struct sv reader_dup(struct reader *r, struct sv v);

/* Text of a scalar with ${NAME} replaced, in the arena. false: a note was made. */
bool reader_expand(struct reader *r, struct sv raw, struct sv *out);

/* Reads `text` as `row` says. false: a note was made. (value.c) */
bool value_read(struct reader *r, const struct row *row, struct sv text, struct value *out);
/* "a duration", and how one is written: "\"5s\", \"250ms\"" or "". */
const char *type_name(uint8_t type);
const char *type_hint(uint8_t type);
/* A number of that type as one would write it: "5s". */
const char *number_text(uint8_t type, uint64_t n, char buf[32]);
/* HOST[:PORT] or [IPv6][:PORT]; port 0 when none is written. */
bool split_host_port(struct sv text, struct sv *host, uint16_t *port);

/* Unsigned numbers of 1, 2, 4 or 8 bytes. */
uint64_t load_number(const void *at, size_t size);

/* What `sticky.by` may be, in the order of enum conf_sticky_key. */
#define STICKY_KEYS "call-id", "from-user", "to-user", "domain", "source", "room"

/* Hooks of the schema's rows (parts.c, rules.c). */
void on_root_done(struct reader *r, void *into);
void on_workers_auto(struct reader *r, const struct value *v, void *into);
void on_zone_open(struct reader *r, void *into);
void on_zone_done(struct reader *r, void *into);
void on_zone_mask(struct reader *r, const struct value *v, void *into);
void on_listener(struct reader *r, const struct value *v, void *into);
bool is_same_listener(const void *now, const void *next, char was[192], char is[192]);
void on_listener_advertise(struct reader *r, const struct value *v, void *into);
void on_cert_open(struct reader *r, void *into);
void on_cert_file(struct reader *r, const struct value *v, void *into);
void on_cert_key(struct reader *r, const struct value *v, void *into);
void on_cert_ocsp(struct reader *r, const struct value *v, void *into);
void on_tls_version(struct reader *r, const struct value *v, void *into);
void on_tls_ciphers(struct reader *r, const struct value *v, void *into);
void on_tls_verify_client(struct reader *r, const struct value *v, void *into);
void on_tls_verify_server(struct reader *r, const struct value *v, void *into);
void on_tls_ca(struct reader *r, const struct value *v, void *into);
void on_tls_crl(struct reader *r, const struct value *v, void *into);
void on_listener_tls_version(struct reader *r, const struct value *v, void *into);
void on_listener_ciphers(struct reader *r, const struct value *v, void *into);
void on_listener_verify_client(struct reader *r, const struct value *v, void *into);
/* Reads the certificates and makes what connections begin with, zone by zone (tls.c). */
void conf_tls(struct reader *r);
void conf_tls_free(struct conf *c);
void on_pool_open(struct reader *r, void *into);
void on_pool_done(struct reader *r, void *into);
void on_pool_spill(struct reader *r, const struct value *v, void *into);
void on_hash_bound(struct reader *r, const struct value *v, void *into);
void on_sticky_by(struct reader *r, const struct value *v, void *into);
void on_sticky_header(struct reader *r, const struct value *v, void *into);
void on_sticky_drain(struct reader *r, const struct value *v, void *into);
void on_destination_open(struct reader *r, void *into);
void on_destination_uri(struct reader *r, const struct value *v, void *into);
void on_destination_path(struct reader *r, const struct value *v, void *into);
void on_registrar_open(struct reader *r, void *into);
void on_registrar_done(struct reader *r, void *into);
void on_registrar_pool(struct reader *r, const struct value *v, void *into);
void on_registrar_open_to_all(struct reader *r, const struct value *v, void *into);
void on_users_file(struct reader *r, const struct value *v, void *into);
void on_auth_algorithm(struct reader *r, const struct value *v, void *into);
void on_user_secret(struct reader *r, const struct value *v, void *into);
/* Sorts them by domain; one that is written twice gets a note. */
void registrars_sort(struct reader *r);
void on_admin_http(struct reader *r, const struct value *v, void *into);
void on_route_open(struct reader *r, void *into);
void on_route_done(struct reader *r, void *into);
void on_when_zone(struct reader *r, const struct value *v, void *into);
void on_when_caller(struct reader *r, const struct value *v, void *into);
void on_when_callee(struct reader *r, const struct value *v, void *into);
void on_to_part(struct reader *r, const struct value *v, void *into);
void on_to_pool(struct reader *r, const struct value *v, void *into);
void on_to_reject(struct reader *r, const struct value *v, void *into);
void on_rewrite_regex(struct reader *r, const struct value *v, void *into);
void on_rewrite_apply(struct reader *r, const struct value *v, void *into);
void on_rewrite_done(struct reader *r, void *into);
void on_rules_open(struct reader *r, void *into);
void on_rule_open(struct reader *r, void *into);
void on_rule_done(struct reader *r, void *into);
void on_rule_add(struct reader *r, const struct value *v, void *into);
void on_rule_set(struct reader *r, const struct value *v, void *into);
void on_rule_rename(struct reader *r, const struct value *v, void *into);
void on_rule_copy(struct reader *r, const struct value *v, void *into);
void on_rule_remove(struct reader *r, void *into);
void on_rule_keep(struct reader *r, void *into);
void on_rule_mask(struct reader *r, void *into);
void on_rule_value(struct reader *r, const struct value *v, void *into);
void on_rule_signature(struct reader *r, const struct value *v, void *into);

void on_trunk_open(struct reader *r, void *into);
void on_trunk_done(struct reader *r, void *into);
void on_trunk_pool(struct reader *r, const struct value *v, void *into);
void on_trunk_user(struct reader *r, const struct value *v, void *into);
void on_trunk_credentials(struct reader *r, const struct value *v, void *into);
/* All their sources in the order conf_trunk_at wants; what is wrong between trunks, pools and rules gets a note. */
void trunks_gather(struct reader *r);
void trunks_check(struct reader *r);
/* Is anybody who connects to a listener of this zone asked for a certificate? (tls.c) */
bool tls_asks_clients(const struct conf_zone *z);
/* Do connections to both listeners of this zone begin the same way? (tls.c) */
bool tls_begins_alike(const struct conf_zone *z, const struct conf_listener *a, const struct conf_listener *b);

/* May it stand as a URI's user (RFC 3261 §25.1)? `has_groups`: "\1" is no such character, but will be replaced. (rules.c) */
bool is_user_text(struct sv v, bool has_groups);
/* One line of that file, or nothing that could be a password. (registrar.c) */
struct sv secret_read(struct reader *r, struct sv path);
/* Between quotes in a challenge, and between colons in a file of users. */
bool is_realm(struct sv v);

/* headers.c: may a rule touch this header? A name in a list may end in '*'. false: a note was made. */
bool read_header(struct reader *r, const struct row *row, struct value *v);
/* Is ${NAME} something of a message, and none of the environment? */
bool is_message_variable(struct sv name);
/* The destinations of each pool, from wherever they come (members.c). */
void members_gather(struct reader *r);
/* What can only be judged when the whole snapshot stands (check.c). */
void conf_check(struct reader *r);
/* "udp", and the port that need not be written for it. (parts.c) */
const char *scheme_name(uint8_t transport);
uint16_t scheme_port(uint8_t transport);
/* Frees what regcomp() made. (rules.c) */
void regexes_free(struct compiled_regex *list);
/* One line of plain words for a rule. (describe.c) */
int describe_route(const struct conf *c, const struct conf_route *route, struct conf_text *out);

/* The names that a word could have been. (suggest.c) */
struct known {
	struct nearest nearest;
	char names[224];                   /* "a, b", cut; then names_len is the size or more */
	size_t names_len;
};
void known_init(struct known *k, struct sv word);
void known_offer(struct known *k, struct sv name);
/* "; did you mean `x`?", or "". */
const char *known_nearest(const struct known *k, char buf[256]);
/* The same, or "; there is: a, b". */
const char *known_nearest_or_all(const struct known *k, char buf[256]);

/* conf_note without a reader (syntax errors, reload). `path` and `text` are copied. */
void notes_add(struct conf_notes *notes, bool is_error, struct conf_mark at, const char *path, const char *text);
void notes_sort(struct conf_notes *notes);
/* `v` for a message: at most 64 bytes, control bytes as '?'. */
const char *printable(struct sv v, char buf[72]);

#endif
