/* registrar/registrar.h - the location service of one worker (RFC 3261 §10): the AORs whose shard it owns, and their bindings. It keeps
 * and expires them; what REGISTER requests do to them is register.h. Everything here runs on the worker's thread. */
#ifndef REGISTRAR_REGISTRAR_H
#define REGISTRAR_REGISTRAR_H
#include "base/blocks.h"
#include "base/counters.h"
#include "conf/conf.h"
#include "registrar/binding.h"

enum registrar_limits {
	REGISTRAR_BINDINGS_MAX = 4000000, /* per worker */
	REGISTRAR_TEXT_EACH = 512,        /* bytes of strings that a binding has on average at most: one alone may have ten times as many */
};

enum registrar_counter {
	BINDINGS_NOW, AORS_NOW, BINDINGS_ADDED, BINDINGS_REFRESHED, BINDINGS_FRONTED, REGISTERS_REPEATED, BINDINGS_EXPIRED,
	BINDINGS_REMOVED, BINDINGS_REPLACED, BINDINGS_FLOW_LOST, BINDINGS_SILENT, BINDINGS_BY_OPERATOR, BINDINGS_REFUSED, REGISTRAR_COUNTERS
};
extern const struct counter_def registrar_counter_defs[REGISTRAR_COUNTERS];

/* Why a binding went. */
enum gone { GONE_EXPIRED, GONE_REMOVED, GONE_REPLACED, GONE_FLOW, GONE_SILENT, GONE_OPERATOR, GONE_CLOSING };

struct registrar;

struct registrar_params {
	struct wheel *wheel;
	const struct hash_key *key; /* the token codec's: outlives the registrar */
	size_t extra;               /* bytes behind each binding for the user (binding_extra) */
	size_t max_bindings;        /* 0: REGISTRAR_BINDINGS_MAX */
	void *ctx;
	/* Each may be NULL. None may remove a binding or add one. */
	void (*on_new)(void *ctx, struct binding *b);
	void (*on_refreshed)(void *ctx, struct binding *b); /* its path may be another now */
	void (*on_moved)(void *ctx, struct binding *b);     /* the same; or it is new: requests to it go to b->path from now on */
	void (*on_gone)(void *ctx, struct binding *b, enum gone why);
};

/* 0 or -ENOMEM. */
int registrar_new(struct registrar **out, const struct registrar_params *p);
/* All bindings go (GONE_CLOSING). NULL is allowed. */
void registrar_free(struct registrar *r);

/* NULL: nothing is registered. `aor_key` as aor_key() gives it. */
struct registration *registrar_find(const struct registrar *r, uint64_t aor_key);
/* NULL: it is gone, or none of ours. */
struct binding *registrar_binding(const struct registrar *r, uint64_t id);
/* The next binding after `b` (NULL: the first); NULL: no more. */
static inline struct binding *registration_next(const struct registration *aor, const struct binding *b)
{
	const struct node *n = b ? b->in_aor.next : aor->bindings.next;

	return n == &aor->bindings ? NULL : owner_of(n, struct binding, in_aor);
}

/* It goes now, and its registration with the last one. Not from a callback. */
void registrar_remove(struct registrar *r, struct binding *b, enum gone why);
/* A connection is gone: bindings over it go after their domain's flow-grace, unless a REGISTER over another one comes before. */
void registrar_flow_closed(struct registrar *r, const struct conf *c, uint64_t flow);

/* F(AOR, instance + reg-id, else the Contact's URI). Never 0. */
uint64_t registrar_binding_id(const struct registrar *r, uint64_t aor_key, struct sv contact, struct sv instance, uint32_t reg_id);
uint64_t registrar_call_id(const struct registrar *r, struct sv call_id);

size_t registrar_bindings(const struct registrar *r);
/* `fn` must not add or remove; it stops when that returns false. */
void registrar_each(const struct registrar *r, _Bool (*fn)(void *ctx, struct registration *aor), void *ctx);
/* Each domain with contacts, and how many by transport (enum transport). */
void registrar_domains(const struct registrar *r, void (*fn)(void *ctx, struct sv domain, const uint32_t by_transport[T_COUNT]), void *ctx);
struct counters *registrar_counters(struct registrar *r);
void registrar_slabs(struct registrar *r, void (*fn)(void *ctx, const struct slab *s), void *ctx);
/* Gives back memory that is kept for the next binding. */
void registrar_trim(struct registrar *r);

#endif
