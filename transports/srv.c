#include "transports/srv.h"
#include "base/list.h"
#include <ares.h>
#include <errno.h>

enum { DNS_HEAD = 12, DNS_RR_FIXED = 10, DNS_SRV = 33, DNS_IN = 1, DNS_RECORDS_MAX = 256 };

struct cursor {
	const unsigned char *base, *at, *end;
};

static uint16_t u16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t u32(const unsigned char *p)
{
	return (uint32_t)u16(p) << 16 | u16(p + 2);
}

static void free_namep(char **name)
{
	if (*name)
		ares_free_string(*name);
}

/* Expands the name under the cursor and moves behind it. */
static int take_name(struct cursor *c, char **out)
{
	long used;

	if (c->at >= c->end ||
	    ares_expand_name(c->at, c->base, (int)(c->end - c->base), out, &used) != ARES_SUCCESS)
		return -EBADMSG;
	c->at += used;
	return 0;
}

static bool is_better(const struct srv *a, const struct srv *b)
{
	return a->priority != b->priority ? a->priority < b->priority : a->weight > b->weight;
}

/* Keeps the list sorted; when it is full the worst goes: with too many records some are used, not none. */
static void insert(struct srv_answer *out, const struct srv *srv)
{
	unsigned i = out->n < SRV_TARGETS_MAX ? out->n++ : SRV_TARGETS_MAX;

	if (i == SRV_TARGETS_MAX && !is_better(srv, &out->srv[--i]))
		return;
	for (; i > 0 && is_better(srv, &out->srv[i - 1]); i--)
		out->srv[i] = out->srv[i - 1];
	out->srv[i] = *srv;
}

static int take_srv(struct cursor *c, size_t len, struct srv_answer *out)
{
	struct srv srv = { 0 };
	struct cursor data = { c->base, c->at + 6, c->end };
	SCOPED(free_namep) char *name = NULL;

	if (len < 7 || take_name(&data, &name))
		return -EBADMSG;
	srv.priority = u16(c->at);
	srv.weight = u16(c->at + 2);
	srv.port = u16(c->at + 4);
	if (name[0] == '\0' || strcmp(name, ".") == 0) {
		out->is_refused = true;
		return 0;
	}
	if (strlen(name) > SRV_NAME_MAX || srv.port == 0)
		return 0;
	memcpy(srv.host, name, strlen(name) + 1);
	insert(out, &srv);
	return 0;
}

static int take_record(struct cursor *c, struct srv_answer *out)
{
	SCOPED(free_namep) char *owner = NULL;
	uint16_t type, class, len;
	uint32_t ttl;
	int err = take_name(c, &owner);

	if (err || c->end - c->at < DNS_RR_FIXED)
		return -EBADMSG;
	type = u16(c->at);
	class = u16(c->at + 2);
	ttl = u32(c->at + 4);
	len = u16(c->at + 8);
	c->at += DNS_RR_FIXED;
	if (c->end - c->at < len)
		return -EBADMSG;
	if (type == DNS_SRV && class == DNS_IN) {
		err = take_srv(c, len, out);
		out->ttl_s = ttl < out->ttl_s ? ttl : out->ttl_s;
	}
	c->at += len;
	return err;
}

int srv_parse(struct srv_answer *out, const unsigned char *bytes, size_t len)
{
	struct cursor c = { bytes, bytes + DNS_HEAD, bytes + len };
	unsigned questions, answers;

	*out = (struct srv_answer){ .ttl_s = UINT32_MAX };
	if (len < DNS_HEAD || len > UINT16_MAX)
		return -EBADMSG;
	questions = u16(bytes + 4);
	answers = u16(bytes + 6);
	if (questions > 1)
		return -EBADMSG;
	if (questions) {
		SCOPED(free_namep) char *name = NULL;

		if (take_name(&c, &name) || c.end - c.at < 4)
			return -EBADMSG;
		c.at += 4;
	}
	for (unsigned i = 0; i < answers && i < DNS_RECORDS_MAX; i++)
		if (take_record(&c, out))
			return -EBADMSG;
	out->is_refused = out->is_refused && out->n == 0;
	return 0;
}

/* Order ----------------------------------------------------------------------------------------------------------- */

static uint64_t draw(uint64_t *random, uint64_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random % below;
}

/* RFC 2782: those of weight 0 come first in the list, so that they have a small chance; a number from 0 to the sum of
 * weights picks the first whose running sum reaches it. */
static unsigned pick(const struct found *f, unsigned left, uint64_t *random)
{
	unsigned best = UINT16_MAX, sum = 0, running = 0, last = 0;
	uint64_t mark;

	for (unsigned i = 0; i < f->n; i++)
		if (left & 1u << i && f->target[i].priority < best)
			best = f->target[i].priority;
	for (unsigned i = 0; i < f->n; i++)
		if (left & 1u << i && f->target[i].priority == best)
			sum += f->target[i].weight;
	mark = draw(random, sum + 1ull);
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < f->n; i++) {
			const struct found_target *t = &f->target[i];

			if (!(left & 1u << i) || t->priority != best || (t->weight != 0) != pass)
				continue;
			last = i;
			running += t->weight;
			if (running >= mark)
				return i;
		}
	return last;
}

static void append(const struct found *f, unsigned target, uint16_t port, struct resolve_answer *out)
{
	unsigned first = 0;

	for (unsigned i = 0; i < target; i++)
		first += f->target[i].n;
	for (unsigned i = 0; i < f->target[target].n && out->n < RESOLVE_ADDRS_MAX; i++) {
		out->addr[out->n] = f->addr[first + i];
		out->addr[out->n++].port = f->target[target].port ? f->target[target].port : port;
	}
}

void found_order(const struct found *f, uint16_t port, uint64_t *random, struct resolve_answer *out)
{
	unsigned left = (1u << f->n) - 1;

	*out = (struct resolve_answer){ 0 };
	while (left) {
		unsigned i = pick(f, left, random);

		append(f, i, port, out);
		left &= ~(1u << i);
	}
}
