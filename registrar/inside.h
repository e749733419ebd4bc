/* registrar/inside.h - the registrar's own shape, shared by the files of this folder. */
#ifndef REGISTRAR_INSIDE_H
#define REGISTRAR_INSIDE_H
#include "registrar/registrar.h"

/* How many contacts a domain has, as long as it has AORs. */
struct registrar_domain {
	struct link in_table;      /* key: hash of the name */
	uint32_t n_aors;
	uint32_t by_transport[T_COUNT];
	uint16_t len;
	char name[];
};

enum {
	REMOVED_MAX = 4096,        /* removals remembered; a newer one takes the place of another */
	REMOVED_MS = 32000,        /* for so long: what the client said before it may still be on its way (64*T1) */
};

/* What a client removed, and by which request. */
struct removed {
	uint64_t id, call_id, until_ms;
	uint32_t cseq;
};

struct registrar {
	struct registrar_params p;
	struct removed removed[REMOVED_MAX]; /* by id */
	struct table aors, by_id, by_flow, domains;
	struct slab bindings;
	struct blocks texts;       /* of bindings, and registrations with their AOR */
	size_t text_bytes, text_max; /* of bindings alone */
	struct counters counters;
};

static inline size_t binding_text_len(const struct binding *b)
{
	return (size_t)b->contact_len + b->params_len + b->routes_len + b->service_len;
}

/* What a binding says of itself, to be kept in one block. */
struct binding_text {
	struct sv contact, params, routes, service;
	uint16_t instance_at, instance_len;
};

/* A registration without bindings, not yet known: registration_link makes it so, registration_free undoes it. NULL: memory is out. */
struct registration *registration_new(struct registrar *r, const struct aor *aor, uint64_t key);
/* 0 or -ENOSPC. */
int registration_link(struct registrar *r, struct registration *a);
/* Only without bindings. */
void registration_free(struct registrar *r, struct registration *a);

/* One that belongs to nobody yet: binding_link makes it so. NULL: the bound, or memory is out. */
struct binding *binding_new(struct registrar *r);
/* Its strings, instead of those it has. 0 or -ENOMEM. */
int binding_set_text(struct registrar *r, struct binding *b, const struct binding_text *t);
/* A block with `t`, for binding_take_text. NULL: memory is out. */
char *binding_copy_text(struct registrar *r, const struct binding_text *t);
/* Of a block that no binding took. */
void binding_drop_text(struct registrar *r, char *block, size_t size);
void binding_take_text(struct registrar *r, struct binding *b, const struct binding_text *t, char *block);
static inline size_t binding_text_size(const struct binding_text *t)
{
	return t->contact.len + t->params.len + t->routes.len + t->service.len;
}
void binding_link(struct registrar *r, struct registration *a, struct binding *b, uint64_t id);
/* Of one that was never linked, or is no longer. */
void binding_free(struct registrar *r, struct binding *b);
/* Where its requests go from now on. */
void binding_set_path(struct registrar *r, struct binding *b, const struct path *path);
void binding_until(struct registrar *r, struct binding *b, uint64_t expires_ms);

#endif
