/* sbc/call/locate.h - who is registered: asked of the workers that hold the bindings of who calls and of whom is called, before the rules
 * are (DECISIONS 15, 19). The question travels to them and home again as mail, and the request waits meanwhile (DECISIONS 20). */
#ifndef SBC_CALL_LOCATE_H
#define SBC_CALL_LOCATE_H
#include "sbc/call/call.h"

/* Where somebody can be reached. The strings lie in `text` of what has it. */
struct located_target {
	struct sv uri, routes;     /* its Contact as registered, its Path */
	struct path path;          /* the flow that registered */
	uint64_t binding;          /* id */
	uint64_t instance;         /* hash of what several flows of a phone have in common (RFC 5626); 0: it has one */
	uint16_t q;                /* thousandths */
};

/* One of those who are asked for. */
struct located_party {
	uint64_t key;              /* of the AOR; 0: it cannot be registered here */
	uint16_t shard;            /* of the AOR */
	bool is_wanted;            /* nobody has answered yet */
};

/* The question and its answer; counted. */
struct located {
	struct b2bua_errand errand;
	unsigned refs, home;
	uint64_t ticket;
	struct located_party caller, callee;
	struct path from;          /* over which the request came */
	uint64_t instance;         /* hash of the only one that is meant (RFC 5627); 0: any */
	uint64_t binding;          /* the only one that is meant; 0: any */
	uint64_t host;             /* with it: hash of the domain it was asked for, by which the rules judge */
	uint64_t caller_binding;   /* the caller's over the very flow the request came by; 0: none */
	bool callee_is_ours;       /* its domain is: somebody of this name may register */
	bool caller_is_registered; /* over the very flow the request came by */
	bool has_no_memory;
	uint8_t n;
	struct located_target target[FORK_BRANCHES_MAX]; /* best first, among equals the one heard of last */
	struct sv service;         /* the caller's Service-Route (RFC 3608), in `service_text` */
	char *text, *service_text;
};

/* Asks what the rules may want to know of the parties of `r`, and goes on with b2bua_dispatch, now or when other workers have answered.
 * False: there is nothing to ask. */
bool locate(struct b2bua *b, const struct request *r, const struct uri *uri);
/* It has come here, to be asked or answered. */
void located_arrive(struct b2bua *b, struct located *l);
/* One that was not asked for: this binding is the callee. NULL: memory is out. */
struct located *located_binding(struct b2bua *b, const struct binding *to);
/* NULL is allowed. */
struct located *located_get(struct located *l);
void located_put(struct located *l);
enum standing { CALLER_IS_REGISTERED = 1, CALLEE_IS_REGISTERED = 2, CALLER_IS_AUTHENTICATED = 4 }; /* bits: what the rules know */
uint8_t located_standing(const struct located *l);
struct route_query;
void standing_tell(uint8_t standing, struct route_query *q);
/* DECISIONS 15: who is registered speaks for himself only. False: P-Asserted-Identity or P-Preferred-Identity names somebody else. */
bool located_owns(const struct located *l, const struct view *v);

#endif
