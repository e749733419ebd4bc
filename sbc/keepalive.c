#include "sbc/keepalive.h"
#include "nat/heard.h"
#include "nat/learn.h"
#include "nat/ping.h"
#include "sbc/worker.h"
#include <errno.h>
#include <stdlib.h>

struct keepalive {
	struct worker *w;
	struct keeper *keeper;
	struct learner *learner;   /* NULL: no zone learns */
	const struct conf *conf;
	struct ping_form *forms;   /* by listener; no text: none is sent over it */
	unsigned n_forms;
	struct buf *crlf, *empty;
	uint32_t number;           /* of the last OPTIONS */
};

static struct binding *binding_of(const struct keep *e)
{
	return (struct binding *)e - 1; /* binding_extra */
}

static struct keep *keep_of(struct binding *b)
{
	return binding_extra(b);
}

static const struct conf_zone *zone_of(const struct keepalive *k, const struct path *p)
{
	return &k->conf->zones[k->conf->listeners[p->listener].zone];
}

static bool is_kept_alive(const struct conf_zone *z, uint8_t transport)
{
	if (transport_is_stream(transport))
		return z->keepalive.tcp != STREAM_KEEPALIVE_OFF;
	return z->keepalive.udp != KEEPALIVE_OFF;
}

static struct learn_terms learn_terms(const struct conf_zone *z)
{
	return (struct learn_terms){ z->keepalive.every_ms, z->keepalive.min_ms, z->keepalive.max_ms };
}

/* Its zone, if the network that `b` is in is learnt about; else NULL. */
static const struct conf_zone *learning_zone(const struct keepalive *k, const struct binding *b)
{
	const struct conf_zone *z = zone_of(k, &b->path);

	return k->learner && z->keepalive.learns && z->keepalive.udp == KEEPALIVE_OPTIONS && b->path.transport == T_UDP ? z : NULL;
}

/* What the keeper asks ---------------------------------------------------------------------------------------------- */

static uint32_t every_ms(const struct keepalive *k, const struct binding *b, const struct conf_zone *z)
{
	struct learn_terms t = learn_terms(z);

	return learning_zone(k, b) ? learn_every(k->learner, &b->path.remote, &t) : t.every_ms;
}

/* Behind a proxy (Path, RFC 3327) the way to the contact is the proxy's to keep. */
static struct keep_terms terms(void *ctx, const struct keep *e)
{
	struct keepalive *k = ctx;
	const struct binding *b = binding_of(e);
	const struct conf_zone *z = zone_of(k, &b->path);

	if (b->routes_len || b->is_flow_lost || !is_kept_alive(z, b->path.transport))
		return (struct keep_terms){ 0 };
	return (struct keep_terms){ every_ms(k, b, z), z->keepalive.misses };
}

static bool has_spoken(void *ctx, const struct keep *e, uint32_t within_ms)
{
	struct keepalive *k = ctx;

	return heard_within(k->w->shared->heard, &binding_of(e)->path, k->w->wheel.now_ms, within_ms);
}

static int send_options(struct keepalive *k, const struct binding *b)
{
	struct worker *w = k->w;
	const struct ping_form *f = &k->forms[b->path.listener];
	struct token self = { .id = b->by_id.key, .shard = registration_shard(b->aor) };
	SCOPED(buf_putp) struct buf *buf = NULL;
	char name[TOKEN_LEN], text[PING_MAX];
	int err;

	if (!f->text)
		return -EAFNOSUPPORT;
	token_write(w->tokens, TOKEN_BINDING, self, name);
	buf = buf_copy_in(&w->bufs, (struct sv){ text, ping_write(f, binding_target(b), &b->path.remote,
	                                                          (struct sv){ name, TOKEN_LEN }, ++k->number, text) });
	if (!buf)
		return -ENOMEM;
	err = sip_may_leave(&w->stack, &b->path, buf);
	return err ? err : net_send(w->net, &b->path, buf, 0);
}

/* Who did not say that he answers (RFC 5626 §3.5.1) is not gone because he does not: TCP tells. At a WebSocket everybody answers (RFC 6455
 * §5.5.2). */
static int ping_stream(struct keepalive *k, const struct binding *b)
{
	int err = net_ping(k->w->net, &b->path);

	return err ? err : b->is_outbound || transport_is_websocket(b->path.transport) ? KEEP_STREAM : KEEP_STREAM_QUIET;
}

static int ping(void *ctx, struct keep *e)
{
	struct keepalive *k = ctx;
	const struct binding *b = binding_of(e);
	const struct conf_zone *z = zone_of(k, &b->path);
	int err;

	if (transport_is_stream(b->path.transport))
		return ping_stream(k, b);
	switch (z->keepalive.udp) {
	case KEEPALIVE_CRLF:
		err = net_send(k->w->net, &b->path, k->crlf, 0);
		return err ? err : KEEP_CRLF;
	case KEEPALIVE_EMPTY:
		err = net_send(k->w->net, &b->path, k->empty, 0);
		return err ? err : KEEP_EMPTY;
	default:
		err = send_options(k, b);
		return err ? err : KEEP_OPTIONS;
	}
}

static void learn_from(struct keepalive *k, const struct binding *b,
                       void (*learn)(struct learner *l, const struct addr *a, const struct learn_terms *t))
{
	const struct conf_zone *z = learning_zone(k, b);
	struct learn_terms t;

	if (!z)
		return;
	t = learn_terms(z);
	learn(k->learner, &b->path.remote, &t);
}

/* Whose connection is gone may come back over another one: the registrar gives him time. */
static void on_dead(void *ctx, struct keep *e)
{
	struct keepalive *k = ctx;
	struct binding *b = binding_of(e);
	uint64_t flow = b->path.flow;

	learn_from(k, b, learn_lost);
	if (!flow) {
		registrar_remove(k->w->registrar, b, GONE_SILENT);
		return;
	}
	net_flow_close(k->w->net, flow);
	registrar_flow_closed(k->w->registrar, k->conf, flow);
}

/* Life -------------------------------------------------------------------------------------------------------------- */

int keepalive_new(struct keepalive **out, struct worker *w)
{
	struct keepalive *k = calloc(1, sizeof(*k));
	struct keeper_params p = { .wheel = &w->wheel, .log = w->shared->log, .terms = terms, .has_spoken = has_spoken, .ping = ping,
	                           .on_dead = on_dead, .ctx = k };

	if (!k)
		return -ENOMEM;
	k->w = w;
	k->crlf = buf_copy(SV("\r\n\r\n"));
	k->empty = buf_copy(SV(""));
	if (!k->crlf || !k->empty || keeper_new(&k->keeper, &p)) {
		keepalive_free(k);
		return -ENOMEM;
	}
	*out = k;
	return 0;
}

static void forms_free(struct ping_form *forms, unsigned n)
{
	for (unsigned i = 0; forms && i < n; i++)
		ping_form_fini(&forms[i]);
	free(forms);
}

void keepalive_free(struct keepalive *k)
{
	if (!k)
		return;
	keeper_free(k->keeper);
	learner_free(k->learner);
	forms_free(k->forms, k->n_forms);
	buf_put(k->crlf);
	buf_put(k->empty);
	free(k);
}

static bool has_keepalives(const struct conf *c)
{
	for (unsigned i = 0; c->n_registrars && i < c->n_listeners; i++)
		if (is_kept_alive(&c->zones[c->listeners[i].zone], c->listeners[i].transport))
			return true;
	return false;
}

/* What is called a name too long for a ping is not kept alive; the configuration's bounds leave room. */
static int forms_make(const struct conf *c, struct ping_form *forms)
{
	int err = 0;

	for (unsigned i = 0; i < c->n_listeners && err != -ENOMEM; i++)
		if (c->listeners[i].transport == T_UDP)
			err = ping_form_init(&forms[i], c->listeners[i].advertise);
	return err == -ENOMEM ? err : 0;
}

/* Once made it stays. */
static int learner_make(struct keepalive *k, const struct conf *c)
{
	bool learns = false;

	for (unsigned i = 0; i < c->n_zones; i++)
		learns |= c->zones[i].keepalive.learns;
	return learns && !k->learner ? learner_new(&k->learner, token_hash_key(k->w->tokens)) : 0;
}

int keepalive_adopt(struct keepalive *k, const struct conf *c)
{
	struct ping_form *forms = calloc(c->n_listeners + 1, sizeof(*forms));

	if (!forms || forms_make(c, forms) || learner_make(k, c)) {
		forms_free(forms, c->n_listeners);
		return -ENOMEM;
	}
	forms_free(k->forms, k->n_forms);
	k->forms = forms;
	k->n_forms = c->n_listeners;
	k->conf = c;
	k->w->hears = has_keepalives(c);
	return 0;
}

size_t keepalive_extra(void)
{
	return sizeof(struct keep);
}

/* One that is not kept alive for want of memory tries again at its next refresh. */
void keepalive_binding_new(struct keepalive *k, struct binding *b)
{
	keep_of(b)->mark = b->path.remote.port;
	(void)keeper_add(k->keeper, keep_of(b), b->by_id.key);
}

void keepalive_binding_refreshed(struct keepalive *k, struct binding *b)
{
	struct keep *e = keep_of(b);

	if (keep_is_kept(e) && e->mark != b->path.remote.port)
		learn_from(k, b, learn_moved);
	e->mark = b->path.remote.port;
	keeper_heard(k->keeper, e);
	(void)keeper_add(k->keeper, keep_of(b), b->by_id.key);
}

void keepalive_binding_gone(struct keepalive *k, struct binding *b)
{
	keeper_remove(k->keeper, keep_of(b));
}

void keepalive_pause(struct keepalive *k, bool is_paused)
{
	keeper_pause(k->keeper, is_paused);
}

struct counters *keepalive_counters(struct keepalive *k)
{
	return keeper_counters(k->keeper);
}

/* Signs of life ----------------------------------------------------------------------------------------------------- */

void keepalive_note(struct worker *w, const struct path *from)
{
	if (is_kept_alive(zone_of(w->keepalive, from), from->transport))
		heard_note(w->shared->heard, from, w->wheel.now_ms);
}

/* From elsewhere than the contact is, it says nothing of it. */
static void answered(struct keepalive *k, uint64_t id, const struct path *from)
{
	struct binding *b = registrar_binding(k->w->registrar, id);

	if (!b || b->path.listener != from->listener || !addr_eq(&b->path.remote, &from->remote))
		return;
	if (keep_was_silent(keep_of(b)))
		learn_from(k, b, learn_kept);
	keeper_heard(k->keeper, keep_of(b));
}

struct answer_mail {
	struct mail mail;
	uint64_t id;
	struct path from;
};

static void answer_deliver(struct mail *m, void *reader)
{
	struct answer_mail *a = owner_of(m, struct answer_mail, mail);
	struct worker *w = reader;

	answered(w->keepalive, a->id, &a->from);
	free(a);
}

/* One that is lost costs a ping. */
static void answer_send(struct worker *w, unsigned owner, uint64_t id, const struct path *from)
{
	struct answer_mail *a = malloc(sizeof(*a));

	if (!a)
		return;
	*a = (struct answer_mail){ { .deliver = answer_deliver }, id, *from };
	if (worker_post(w, owner, &a->mail, false))
		free(a);
}

bool keepalive_response(struct worker *w, const struct view *v, const struct path *from)
{
	struct sv branch = sv_skip(view_via_branch(v), sizeof("z9hG4bK") - 1);
	struct token token;
	unsigned owner;

	if (branch.len <= TOKEN_LEN || token_read(w->tokens, TOKEN_BINDING, (struct sv){ branch.p, TOKEN_LEN }, &token))
		return false;
	owner = token.shard % w->shared->workers;
	if (owner == w->index)
		answered(w->keepalive, token.id, from);
	else
		answer_send(w, owner, token.id, from);
	return true;
}
