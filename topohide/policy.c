/* topohide/policy.c - header rules out of a snapshot become programs, and what calls hold of them. */
#include "topohide/program.h"
#include <errno.h>
#include <stdlib.h>

enum { PROGRAM_BYTES_MAX = 4 << 20, HASHED_MAX = 8 + CONF_RULE_NAMES_MAX + 64 };

/* One list of lists: the rules of each in turn. */
struct source {
	const struct conf *c;
	const uint16_t *lists[2];
	unsigned n[2];
};

/* Compiling -------------------------------------------------------------------------------------------------------- */

static int copy(struct arena *a, struct sv from, struct sv *to)
{
	*to = arena_dup(a, from);
	return to->p ? 0 : -ENOMEM;
}

static int compile_name(struct arena *a, struct sv from, struct rule_name *to)
{
	to->is_glob = from.len && from.p[from.len - 1] == '*';
	from.len -= to->is_glob;
	to->id = to->is_glob ? HDR_OTHER : hdr_id_parse(from);
	return copy(a, from, &to->text);
}

static int compile_names(struct arena *a, const struct conf_rule *from, struct rule *to)
{
	struct rule_name *names = arena_alloc(a, (from->n_names + 1) * sizeof(*names));
	int err = names ? 0 : -ENOMEM;

	for (unsigned i = 0; i < from->n_names && !err; i++)
		err = compile_name(a, from->names[i], &names[i]);
	to->names = names;
	to->n_names = (uint16_t)from->n_names;
	return err ? err : compile_name(a, from->to.p ? from->to : SV(""), &to->to);
}

static int compile_methods(struct arena *a, const struct conf_rule *from, struct rule *to)
{
	struct sv *others = arena_alloc(a, (from->n_methods + 1) * sizeof(*others));
	int err = others ? 0 : -ENOMEM;

	to->any_method = !from->n_methods;
	for (unsigned i = 0; i < from->n_methods && !err; i++) {
		uint8_t method = method_parse(from->methods[i]);

		if (method == M_OTHER)
			err = copy(a, from->methods[i], &others[to->n_methods++]);
		else
			to->methods |= 1u << method;
	}
	to->other_methods = others;
	return err;
}

static int compile_pieces(struct arena *a, const struct conf_rule *from, struct rule *to)
{
	struct conf_piece *pieces = arena_alloc(a, (from->n_pieces + 1) * sizeof(*pieces));
	int err = pieces ? 0 : -ENOMEM;

	for (unsigned i = 0; i < from->n_pieces && !err; i++) {
		pieces[i] = from->pieces[i];
		err = copy(a, from->pieces[i].text.p ? from->pieces[i].text : SV(""), &pieces[i].text);
	}
	to->pieces = pieces;
	to->n_pieces = (uint16_t)from->n_pieces;
	return err;
}

static int compile_rule(struct arena *a, const struct conf_rule *from, struct rule *to)
{
	int err;

	*to = (struct rule){ .action = from->action, .message = from->message, .drops_signature = from->drops_signature };
	if ((err = compile_names(a, from, to)) || (err = compile_methods(a, from, to)))
		return err;
	return compile_pieces(a, from, to);
}

static unsigned rules_of(const struct source *s)
{
	unsigned n = 0;

	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < s->n[k]; i++)
			n += s->c->rules[s->lists[k][i]].n;
	return n;
}

static int compile(struct arena *a, const struct source *s, struct program *to)
{
	unsigned n = rules_of(s);
	int err = 0;

	*to = (struct program){ .rules = n ? arena_alloc(a, n * sizeof(*to->rules)) : NULL };
	if (n && !to->rules)
		return -ENOMEM;
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < s->n[k]; i++) {
			const struct conf_rules *list = &s->c->rules[s->lists[k][i]];

			for (unsigned j = 0; j < list->n && !err; j++)
				err = compile_rule(a, &list->rules[j], &to->rules[to->n++]);
		}
	return err;
}

/* What the rules say, in one number, behind what `name` says already. */
static uint64_t name_rule(const struct hash_key *key, uint64_t name, const struct conf_rule *rule)
{
	struct { uint64_t before; uint32_t n_names, n_methods; uint8_t kind[8]; } head = {
		name, rule->n_names, rule->n_methods, { rule->action, rule->message, rule->drops_signature },
	};
	struct sv parts[HASHED_MAX] = { { (const char *)&head, sizeof(head) }, rule->to, rule->value };
	size_t n = 3;

	for (unsigned i = 0; i < rule->n_names; i++)
		parts[n++] = rule->names[i];
	for (unsigned i = 0; i < rule->n_methods; i++)
		parts[n++] = rule->methods[i];
	return hash_parts(key, parts, n);
}

static uint64_t name_source(const struct hash_key *key, uint64_t name, const struct source *s)
{
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < s->n[k]; i++) {
			const struct conf_rules *list = &s->c->rules[s->lists[k][i]];

			for (unsigned j = 0; j < list->n; j++)
				name = name_rule(key, name, &list->rules[j]);
		}
	return name;
}

/* Sets of routes and pools ------------------------------------------------------------------------------------------ */

static void set_free(struct policy_set *s)
{
	if (!s)
		return;
	arena_reset(&s->arena);
	free(s);
}

static uint16_t set_find(const struct policies *p, uint64_t name)
{
	for (unsigned i = 0; name && i < p->n_sets; i++)
		if (p->sets[i] && p->sets[i]->name == name)
			return (uint16_t)(i + 1);
	return 0;
}

/* A number for it: one that is free, or one more. */
static int set_place(struct policies *p, struct policy_set *s, uint16_t *number)
{
	struct policy_set **more;
	unsigned i = 0;

	while (i < p->n_sets && p->sets[i])
		i++;
	if (i == POLICY_SETS_MAX)
		return -ENOSPC;
	if (i == p->n_sets) {
		if (!(more = realloc(p->sets, (i + 1) * sizeof(*more))))
			return -ENOMEM;
		p->sets = more;
		p->n_sets++;
	}
	p->sets[i] = s;
	*number = (uint16_t)(i + 1);
	return 0;
}

static int set_new(struct policies *p, uint64_t name, const struct source *out, const struct source *in, uint16_t *number)
{
	struct policy_set *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->name = name;
	s->refs = 1;
	arena_init(&s->arena, NULL, 0, PROGRAM_BYTES_MAX);
	if ((err = compile(&s->arena, out, &s->out)) || (err = compile(&s->arena, in, &s->in)) || (err = set_place(p, s, number)))
		set_free(s);
	return err;
}

/* The set of a route and the pool it leads to, if it does: held, and made when it is new. */
static int set_of(struct policies *p, const struct conf *c, const struct conf_route *route, uint16_t *number)
{
	const struct conf_use none = { .n_out = 0 };
	const struct conf_use *by_route = &route->headers, *by_pool = route->action == ACT_POOL ? &c->pools[route->pool].headers : &none;
	struct source out = { c, { by_route->out, by_pool->out }, { by_route->n_out, by_pool->n_out } };
	struct source in = { c, { by_pool->in, by_route->in }, { by_pool->n_in, by_route->n_in } };
	uint64_t name;

	if ((route->action != ACT_POOL && route->action != ACT_LOCATION) || (!rules_of(&out) && !rules_of(&in)))
		return 0;
	name = name_source(p->key, name_source(p->key, 0, &out) + 1, &in);
	name = name ? name : 1;
	if (!(*number = set_find(p, name)))
		return set_new(p, name, &out, &in, number);
	p->sets[*number - 1]->refs++;
	return 0;
}

void policies_release(struct policies *p, uint16_t set)
{
	if (!set || --p->sets[set - 1]->refs)
		return;
	set_free(p->sets[set - 1]);
	p->sets[set - 1] = NULL;
}

uint16_t policies_hold(struct policies *p, unsigned route)
{
	uint16_t set = route < p->n_routes ? p->of_route[route] : 0;

	if (set)
		p->sets[set - 1]->refs++;
	return set;
}

uint64_t policies_name(const struct policies *p, uint16_t set)
{
	return set ? p->sets[set - 1]->name : 0;
}

uint16_t policies_hold_named(struct policies *p, uint64_t name)
{
	uint16_t set = set_find(p, name);

	if (set)
		p->sets[set - 1]->refs++;
	return set;
}

/* Snapshots -------------------------------------------------------------------------------------------------------- */

static void zones_free(struct policy_zones *z)
{
	if (!z)
		return;
	arena_reset(&z->arena);
	free(z);
}

static int zones_new(const struct conf *c, struct policy_zones **out)
{
	struct policy_zones *z = calloc(1, sizeof(*z));
	int err = 0;

	if (!z)
		return -ENOMEM;
	arena_init(&z->arena, NULL, 0, PROGRAM_BYTES_MAX);
	z->in = arena_alloc(&z->arena, (c->n_zones + 1) * sizeof(*z->in));
	z->out = arena_alloc(&z->arena, (c->n_zones + 1) * sizeof(*z->out));
	z->n = c->n_zones;
	for (unsigned i = 0; i < c->n_zones && !err; i++) {
		const struct conf_use *use = &c->zones[i].headers;

		err = z->in && z->out ? 0 : -ENOMEM;
		if (err || (err = compile(&z->arena, &(struct source){ c, { use->in }, { use->n_in } }, &z->in[i])))
			break;
		err = compile(&z->arena, &(struct source){ c, { use->out }, { use->n_out } }, &z->out[i]);
	}
	if (err)
		zones_free(z);
	else
		*out = z;
	return err;
}

static void release_all(struct policies *p, uint16_t *of_route, unsigned n)
{
	for (unsigned i = 0; of_route && i < n; i++)
		policies_release(p, of_route[i]);
	free(of_route);
}

static int routes_new(struct policies *p, const struct conf *c, uint16_t **out)
{
	uint16_t *of_route = calloc(c->n_routes + 1, sizeof(*of_route));
	int err = of_route ? 0 : -ENOMEM;

	for (unsigned i = 0; i < c->n_routes && !err; i++)
		err = set_of(p, c, &c->routes[i], &of_route[i]);
	if (err)
		release_all(p, of_route, c->n_routes);
	else
		*out = of_route;
	return err;
}

static bool zones_ask(const struct conf *c)
{
	for (unsigned i = 0; i < c->n_zones; i++)
		if (c->zones[i].headers.n_in || c->zones[i].headers.n_out || (c->zones[i].masks & MASK_SDP_ORIGIN))
			return true;
	return false;
}

unsigned policies_count(const struct policies *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n_sets; i++)
		n += p->sets[i] != NULL;
	return n;
}

void policies_init(struct policies *p, const struct hash_key *key)
{
	*p = (struct policies){ .key = key };
}

void policies_fini(struct policies *p)
{
	zones_free(p->zones);
	free(p->of_route);
	for (unsigned i = 0; i < p->n_sets; i++)
		set_free(p->sets[i]);
	free(p->sets);
	free(p->area);
	*p = (struct policies){ .key = p->key };
}

int policies_adopt(struct policies *p, const struct conf *c)
{
	struct policy_zones *zones;
	uint16_t *of_route;
	int err = zones_new(c, &zones);

	if (!err && (err = routes_new(p, c, &of_route)))
		zones_free(zones);
	if (err)
		return err;
	if ((zones_ask(c) || policies_count(p)) && !p->area && !(p->area = malloc(POLICY_AREA))) {
		release_all(p, of_route, c->n_routes);
		zones_free(zones);
		return -ENOMEM;
	}
	release_all(p, p->of_route, p->n_routes);
	zones_free(p->zones);
	p->zones = zones;
	p->of_route = of_route;
	p->n_routes = c->n_routes;
	p->is_on = zones_ask(c) || policies_count(p) > 0; /* those of calls that began under an older snapshot, too */
	return 0;
}
