/* topohide/policy.h - header rules of zones, pools and routes (`headers` of the configuration), compiled, applied to what hiding lets
 * pass of a message on its way out. One struct per worker. A zone's rules are those of the snapshot in use; a call holds those of its
 * route and pool, which stay what they were when it began. */
#ifndef TOPOHIDE_POLICY_H
#define TOPOHIDE_POLICY_H
#include "base/hash.h"
#include "topohide/hide.h"

enum policy_limits {
	POLICY_SETS_MAX = 32768,  /* different ones of routes and pools, those of calls that began before a reload included */
	POLICY_LINES_MAX = 128,   /* a message that has so many gets no more: its receiver counts, too */
};

struct policy_set;
struct policy_zones;

struct policies {
	bool is_on;               /* some rule or mask is in force: without it a message needs nothing of this */
	/* private */
	const struct hash_key *key;
	struct policy_zones *zones;
	uint16_t *of_route;       /* number of each route's set; 0: none */
	unsigned n_routes;
	struct policy_set **sets; /* by number - 1; NULL: free */
	unsigned n_sets;
	char *area;               /* for one message; there when is_on */
};

/* `key` outlives it; the same on both nodes, so that a set has one name. Allocates nothing. */
void policies_init(struct policies *p, const struct hash_key *key);
void policies_fini(struct policies *p);
/* The rules of `c` from now on. 0; -ENOMEM or -ENOSPC with nothing changed. */
int policies_adopt(struct policies *p, const struct conf *c);

/* The number of the set for a call by this route of the snapshot in use; 0: none. Held until it is released. */
uint16_t policies_hold(struct policies *p, unsigned route);
void policies_release(struct policies *p, uint16_t set);
/* How many there are, those of routes included. */
unsigned policies_count(const struct policies *p);
/* Its name for another node, and the number there; 0: none, or not known here. Found means held. */
uint64_t policies_name(const struct policies *p, uint16_t set);
uint16_t policies_hold_named(struct policies *p, uint64_t name);

/* One message of a call. */
struct policy_run {
	struct policies *policies;
	struct hide *hide;
	uint16_t set;             /* the call's */
	bool to_far;              /* towards where its route led */
	struct sv call_id;        /* of the receiver's leg */
};
/* hide_headers, and the rules on what is left. */
void policy_headers(struct out *o, const struct policy_run *run);
/* The body as it may go out: itself, or with the origin of each session description masked, until the next message. What is too long
 * makes `o` full. */
struct sv policy_body(struct out *o, const struct policy_run *run, struct sv body);

#endif
