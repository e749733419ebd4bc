/* registrar/binding.h - what is known of an AOR that somebody registered, and of each of its contacts. Both belong to the worker of
 * the AOR's shard; whoever is handed one borrows it until control returns to the event loop. */
#ifndef REGISTRAR_BINDING_H
#define REGISTRAR_BINDING_H
#include "base/list.h"
#include "base/table.h"
#include "base/wheel.h"
#include "registrar/aor.h"
#include "transports/net.h"

struct registrar_domain;

/* An AOR with its bindings: there is one as long as it has any. */
struct registration {
	struct link in_table;      /* key: aor_key */
	struct node bindings;      /* struct binding, the one refreshed longest ago first */
	struct registrar_domain *domain;
	uint16_t n;
	uint16_t aor_len, user_len;
	char aor[];                /* "user@host", as struct aor has it */
};

/* One contact of an AOR. The strings lie in one block. */
struct binding {
	struct link by_id;         /* key: its id, the same over refreshes, reconnects and on every node (DECISIONS 34). Never 0 */
	struct link by_flow;       /* key: of path.flow; in the table while it has one */
	struct node in_aor;
	struct registration *aor;
	struct path path;          /* the flow it came over */
	struct timer timer;        /* its end */
	uint64_t expires_ms;       /* when what was granted is over */
	uint64_t call_id;          /* of the REGISTER, as registrar_call_id has it */
	uint32_t cseq;
	uint64_t proof;            /* front: hash of the credentials it was accepted with; 0: none */
	uint64_t fronted_ms;       /* front: refreshes end here until then; 0: none does */
	uint32_t reg_id;           /* RFC 5626; 0: none */
	char *text;                /* contact | params | routes | service */
	uint16_t contact_len, params_len, routes_len, service_len;
	uint16_t instance_at, instance_len; /* in params, with its quotes */
	uint16_t q;                /* thousandths; 1000 when none was given */
	bool has_q;
	bool is_flow_lost;         /* its connection closed: it goes unless another REGISTER comes in time */
	bool is_outbound;          /* registered as RFC 5626 says: requests go to its flow, or get 430 */
};

static inline struct sv registration_aor(const struct registration *r)
{
	return (struct sv){ r->aor, r->aor_len };
}
static inline struct sv registration_user(const struct registration *r)
{
	return (struct sv){ r->aor, r->user_len };
}
static inline struct sv registration_host(const struct registration *r)
{
	return sv_skip(registration_aor(r), r->user_len + 1u);
}
static inline uint16_t registration_shard(const struct registration *r)
{
	return aor_shard(r->in_table.key);
}
/* The Contact's URI as it was registered. */
static inline struct sv binding_contact(const struct binding *b)
{
	return (struct sv){ b->text, b->contact_len };
}
/* The same as a Request-URI: without headers (RFC 3261 §19.1.1). */
static inline struct sv binding_target(const struct binding *b)
{
	struct sv uri = binding_contact(b);

	uri.len = sv_chr(uri, '?');
	return uri;
}
/* Its parameters ";a=b;c", without q, expires and what we add ourselves. */
static inline struct sv binding_params(const struct binding *b)
{
	return (struct sv){ b->text + b->contact_len, b->params_len };
}
/* The Path (RFC 3327): "<a>, <b>" in the order in which requests visit them, or empty. */
static inline struct sv binding_routes(const struct binding *b)
{
	return (struct sv){ b->text + b->contact_len + b->params_len, b->routes_len };
}
/* The Service-Route (RFC 3608) that a registrar behind us gave it, in the same form; it never leaves on the client's side. */
static inline struct sv binding_service(const struct binding *b)
{
	return (struct sv){ b->text + b->contact_len + b->params_len + b->routes_len, b->service_len };
}
/* With its quotes, or empty. */
static inline struct sv binding_instance(const struct binding *b)
{
	return (struct sv){ b->text + b->contact_len + b->instance_at, b->instance_len };
}
/* The bytes that registrar_params.extra asked for: zero in a new binding. */
static inline void *binding_extra(struct binding *b)
{
	return b + 1;
}

#endif
