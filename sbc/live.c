#include "sbc/live.h"
#include "base/nearest.h"
#include "sbc/file.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CHANGES_FILE "pools.changes"

/* A destinations-file, by its pool. */
struct watched {
	char pool[CONF_NAME_MAX + 1];
	uint64_t seen, refused;        /* stamps: at the last look; of a state that was no good */
};

/* A name with each-address. */
struct asked {
	struct conf_who who;
	struct live_question *question; /* on its way */
	uint64_t next_ms;
	int err;                       /* of the last answer */
	bool is_wanted;
};

struct live {
	struct live_params p;
	struct watched *files;         unsigned n_files;
	struct asked *names;           unsigned n_names;
	bool is_stale;                 /* something is not in the snapshot yet */
	uint64_t retry_ms;             /* is_stale: not before this */
};

static struct conf_live *overlay(struct live *l)
{
	return &l->p.publisher->live;
}

static const struct conf *now(const struct live *l)
{
	return l->p.publisher->now;
}

/* One more at the end of a growing array, zeroed. NULL: no memory. */
static void *grow(void **array, unsigned *n, size_t size)
{
	char *grown = realloc(*array, (*n + 1) * size);

	if (!grown)
		return NULL;
	*array = grown;
	return memset(grown + (*n)++ * size, 0, size);
}

static void who_set(struct conf_who *who, struct sv pool, struct sv name)
{
	snprintf(who->pool, sizeof(who->pool), "%.*s", SV_ARG(pool));
	snprintf(who->name, sizeof(who->name), "%.*s", SV_ARG(name));
}

/* Publishing ------------------------------------------------------------------------------------------------------ */

struct tally {
	unsigned n[FATE_LEAVING + 1];
};

static void tally_fate(void *ctx, enum conf_fate fate, struct sv pool, struct sv name, const char *what)
{
	struct tally *t = ctx;

	(void)pool;
	(void)name;
	(void)what;
	t->n[fate]++;
}

/* Errors, and remarks about what is laid over the file: those about the file itself were made when it was read. */
static void log_notes(struct live *l, const struct conf_notes *notes)
{
	list_each(it, &notes->list) {
		const struct conf_note *note = owner_of(it, struct conf_note, in_list);

		if (!note->is_error && note->line)
			continue;
		log_at(l->p.log, note->is_error ? LOG_ERROR : LOG_WARN, "conf.note", "path=%s text=%s", note->path ? note->path : "",
		       note->text);
	}
}

static int renew(struct live *l, const char *why, struct conf_notes *notes)
{
	const struct conf *was = now(l);
	struct tally t = { { 0 } };
	int err = publisher_renew(l->p.publisher, notes);

	if (err) {
		log_at(l->p.log, LOG_ERROR, "pools.rejected", "why=%s errors=%u error=%s", why, notes->errors, strerror(-err));
		return err;
	}
	l->is_stale = false;
	conf_compare(was, now(l), tally_fate, &t); /* the publisher keeps `was` until its next collection */
	log_info(l->p.log, "pools.changed", "why=%s gen=%lu kept=%u changed=%u added=%u removed=%u leaving=%u", why,
	         (unsigned long)now(l)->gen, t.n[FATE_KEPT], t.n[FATE_CHANGED], t.n[FATE_ADDED], t.n[FATE_REMOVED], t.n[FATE_LEAVING]);
	if (l->p.on_published)
		l->p.on_published(l->p.ctx);
	return 0;
}

static int renew_quietly(struct live *l, const char *why)
{
	struct conf_notes notes;
	int err;

	conf_notes_init(&notes);
	err = renew(l, why, &notes);
	log_notes(l, &notes);
	conf_notes_fini(&notes);
	return err;
}

/* pools.changes --------------------------------------------------------------------------------------------------- */

static const char *const kinds[] = { [CHANGE_ADD] = "add", [CHANGE_REMOVE] = "remove", [CHANGE_WEIGHT] = "weight" };

size_t live_write(const struct conf_change *changes, unsigned n, char *area, size_t size)
{
	size_t len = 0;

	for (unsigned i = 0; i < n && len < size; i++) {
		const struct conf_change *c = &changes[i];

		len += (size_t)snprintf(area + len, size - len, "%s %s %s %u%s%s\n", kinds[c->kind], c->who.pool, c->who.name, c->weight,
		                        c->kind == CHANGE_ADD ? " " : "", c->kind == CHANGE_ADD ? c->uri : "");
	}
	return len < size ? len : 0;
}

static bool read_change(struct conf_change *c, struct sv line)
{
	char text[LIVE_LINE_MAX + 1], kind[8], rest[2];
	int n;

	*c = (struct conf_change){ 0 };
	if (line.len > LIVE_LINE_MAX)
		return false;
	memcpy(text, line.p, line.len);
	text[line.len] = '\0';
	n = sscanf(text, "%7s %64s %64s %4u %255s %1s", kind, c->who.pool, c->who.name, &c->weight, c->uri, rest);
	for (c->kind = CHANGE_ADD; c->kind <= CHANGE_WEIGHT; c->kind++)
		if (n > 3 && strcmp(kind, kinds[c->kind]) == 0)
			return n == (c->kind == CHANGE_ADD ? 5 : 4) && c->weight <= 1000 && strlen(text) == line.len;
	return false;
}

int live_read(struct conf_change *out, unsigned *n, struct sv bytes, unsigned *line)
{
	int err = 0;

	for (unsigned at = 1; bytes.len; at++) {
		size_t end = sv_chr(bytes, '\n');

		if (*n < CONF_CHANGES_MAX && read_change(&out[*n], (struct sv){ bytes.p, end })) {
			++*n;
		} else if (!err) {
			*line = at;
			err = -EBADMSG;
		}
		bytes = sv_skip(bytes, end + 1);
	}
	return err;
}

/* Of what was kept. -ENOENT: nothing was. */
static int load(struct live *l, struct conf_change *changes, unsigned *n)
{
	char *bytes = NULL;
	size_t len = 0;
	unsigned line = 0;
	int err = file_read(now(l)->state, CHANGES_FILE, CONF_CHANGES_MAX * (LIVE_LINE_MAX + 1), &bytes, &len);

	if (!err)
		err = live_read(changes, n, (struct sv){ bytes, len }, &line);
	free(bytes);
	if (err && err != -ENOENT && err != -ENOMEM) {
		log_at(l->p.log, LOG_ERROR, "pools.unreadable", "file=" CHANGES_FILE " line=%u error=%s", line, strerror(-err));
		file_put_aside(now(l)->state, CHANGES_FILE);
	}
	return err == -ENOMEM ? err : 0;
}

static int save(struct live *l)
{
	size_t room = (size_t)overlay(l)->n_changes * (LIVE_LINE_MAX + 1) + 1;
	char *area = malloc(room);
	int err;

	if (!area)
		return -ENOMEM;
	err = file_replace(now(l)->state, CHANGES_FILE,
	                   (struct sv){ area, live_write(overlay(l)->changes, overlay(l)->n_changes, area, room) });
	free(area);
	return err;
}

static int begin(struct live *l)
{
	struct conf_change *changes = calloc(CONF_CHANGES_MAX, sizeof(*changes)), *fit;
	unsigned n = 0;
	int err = changes ? load(l, changes, &n) : -ENOMEM;

	if (err || !n) {
		free(changes);
		return err;
	}
	if ((fit = realloc(changes, n * sizeof(*changes))))
		changes = fit;
	overlay(l)->changes = changes;
	overlay(l)->n_changes = n;
	(void)renew_quietly(l, "what was changed before the restart"); /* said in the log; the file alone holds then */
	return 0;
}

/* Operators ------------------------------------------------------------------------------------------------------- */

/* `changes` instead of what there is; they become ours. */
static int commit(struct live *l, struct conf_change *changes, unsigned n, struct conf_notes *notes)
{
	struct conf_live *o = overlay(l), before = *o;
	int err;

	o->changes = changes;
	o->n_changes = n;
	if ((err = renew(l, "sbcctl", notes))) {
		o->changes = before.changes;
		o->n_changes = before.n_changes;
		free(changes);
		return err;
	}
	free(before.changes);
	return save(l) ? -EROFS : 0;
}

/* A copy of the changes without those of `who` whose kind is in the bits of `drops`, and with room for one more. */
static struct conf_change *edit(struct live *l, const struct conf_who *who, unsigned drops, unsigned *n)
{
	const struct conf_live *o = overlay(l);
	struct conf_change *changes = calloc(o->n_changes + 1, sizeof(*changes));

	*n = 0;
	for (unsigned i = 0; changes && i < o->n_changes; i++) {
		const struct conf_change *c = &o->changes[i];

		if (!(drops >> c->kind & 1 && conf_who_is(who, sv_from(c->who.pool), sv_from(c->who.name))))
			changes[(*n)++] = *c;
	}
	return changes;
}

static const struct conf_change *change_of(struct live *l, const struct conf_who *who, uint8_t kind)
{
	const struct conf_live *o = overlay(l);

	for (unsigned i = 0; i < o->n_changes; i++)
		if (o->changes[i].kind == kind && conf_who_is(who, sv_from(o->changes[i].who.pool), sv_from(o->changes[i].who.name)))
			return &o->changes[i];
	return NULL;
}

static const struct conf_destination *destination_of(const struct conf *c, const struct conf_who *who)
{
	return conf_find_destination(c, sv_from(who->pool), sv_from(who->name));
}

static bool is_name(const struct conf *c, const struct conf_who *who)
{
	for (unsigned i = 0; i < c->n_names; i++)
		if (conf_who_is(who, c->names[i].pool, c->names[i].name))
			return true;
	return false;
}

/* "pool/name", which has to be one that can be changed. */
static int find(struct live *l, struct sv text, struct conf_who *who, char hint[128])
{
	const struct conf_destination *d;
	size_t slash = sv_chr(text, '/');

	*hint = '\0';
	if (slash > CONF_NAME_MAX || text.len - slash > CONF_NAME_MAX + 1)
		return -ENOENT;
	who_set(who, (struct sv){ text.p, slash }, sv_skip(text, slash + 1));
	if (is_name(now(l), who))
		return 0;
	d = destination_of(now(l), who);
	if (d && !d->is_leaving)
		return d->is_address ? -ENOTSUP : 0;
	(void)dest_find(l->p.publisher->shared->pools, now(l), text, hint);
	if (sv_eq(sv_from(hint), text))
		*hint = '\0';
	return -ENOENT;
}

static int push(struct live *l, const struct conf_change *c, unsigned drops, struct conf_notes *notes)
{
	unsigned n;
	struct conf_change *changes = edit(l, &c->who, drops, &n);

	if (!changes)
		return -ENOMEM;
	if (n >= CONF_CHANGES_MAX) {
		free(changes);
		return -ENOSPC;
	}
	changes[n++] = *c;
	return commit(l, changes, n, notes);
}

static int nearest_pool(const struct live *l, struct sv pool, char hint[128])
{
	struct nearest nearest;

	nearest_init(&nearest, pool);
	for (unsigned i = 0; i < now(l)->n_pools; i++)
		nearest_offer(&nearest, now(l)->pools[i].name);
	snprintf(hint, 128, "%.*s", SV_ARG(nearest.best));
	return -ENOENT;
}

int live_add(struct live *l, struct sv pool, struct sv name, struct sv uri, unsigned weight, struct conf_notes *notes, char hint[128])
{
	struct conf_change c = { .kind = CHANGE_ADD, .weight = weight };
	const struct conf_destination *d;

	*hint = '\0';
	if (conf_find_pool(now(l), pool) < 0)
		return nearest_pool(l, pool, hint);
	if (name.len > CONF_NAME_MAX || uri.len > CONF_URI_MAX)
		return -ENAMETOOLONG;
	who_set(&c.who, pool, name);
	memcpy(c.uri, uri.p, uri.len);
	d = destination_of(now(l), &c.who);
	if ((d && !d->is_leaving) || is_name(now(l), &c.who))
		return -EEXIST;
	return push(l, &c, 1u << CHANGE_ADD | 1u << CHANGE_WEIGHT, notes);
}

int live_remove(struct live *l, struct sv who, struct conf_notes *notes, char hint[128])
{
	struct conf_change c = { .kind = CHANGE_REMOVE }, *changes;
	int err = find(l, who, &c.who, hint);
	unsigned n;

	if (err)
		return err;
	if (!change_of(l, &c.who, CHANGE_ADD))
		return push(l, &c, 1u << CHANGE_REMOVE | 1u << CHANGE_WEIGHT, notes);
	changes = edit(l, &c.who, 1u << CHANGE_ADD | 1u << CHANGE_WEIGHT, &n); /* what the file had stays removed */
	return changes ? commit(l, changes, n, notes) : -ENOMEM;
}

int live_weigh(struct live *l, struct sv who, unsigned weight, struct conf_notes *notes, char hint[128])
{
	struct conf_change c = { .kind = CHANGE_WEIGHT, .weight = weight };
	int err = find(l, who, &c.who, hint);

	return err ? err : push(l, &c, 1u << CHANGE_WEIGHT, notes);
}

int live_forget(struct live *l, struct sv who, struct conf_notes *notes, char hint[128])
{
	struct conf_who which;
	struct conf_change *changes;
	size_t slash = sv_chr(who, '/');
	unsigned n;

	*hint = '\0';
	who_set(&which, (struct sv){ who.p, slash }, sv_skip(who, slash + 1));
	changes = edit(l, &which, ~0u, &n);
	if (!changes)
		return -ENOMEM;
	if (n == overlay(l)->n_changes) {
		free(changes);
		return -ENOENT;
	}
	return commit(l, changes, n, notes);
}

/* Files ----------------------------------------------------------------------------------------------------------- */

static struct watched *watched_of(struct live *l, struct sv pool, uint64_t stamp)
{
	struct watched *w;

	for (unsigned i = 0; i < l->n_files; i++)
		if (sv_eq(sv_from(l->files[i].pool), pool))
			return &l->files[i];
	if ((w = grow((void **)&l->files, &l->n_files, sizeof(*w)))) {
		snprintf(w->pool, sizeof(w->pool), "%.*s", SV_ARG(pool));
		w->seen = stamp;
	}
	return w;
}

/* Is there something new in the pool's file, and has whoever writes it stopped (it is as it was at the last look)? */
static bool has_news(struct live *l, const struct conf_pool *pool)
{
	char path[CONF_TEXT_MAX + 1];
	struct watched *w;
	uint64_t stamp;
	bool is_settled;

	snprintf(path, sizeof(path), "%.*s", SV_ARG(pool->destinations_file));
	stamp = conf_file_stamp(path);
	if (!(w = watched_of(l, pool->name, pool->destinations_stamp)))
		return false;
	is_settled = stamp == w->seen;
	w->seen = stamp;
	if (!is_settled || stamp == pool->destinations_stamp || stamp == w->refused)
		return false;
	w->refused = stamp; /* unless it is taken, this is not tried again */
	return true;
}

static bool look_at_files(struct live *l)
{
	const struct conf *c = now(l);
	bool has = false;

	for (unsigned i = 0; i < c->n_pools; i++)
		has |= c->pools[i].destinations_file.len && has_news(l, &c->pools[i]);
	return has;
}

/* Names ----------------------------------------------------------------------------------------------------------- */

static void answered(void *ctx, int err, const struct resolve_answer *a)
{
	struct live_question *q = ctx;

	q->err = err;
	if (!err)
		q->answer = *a;
	atomic_store_explicit(&q->is_answered, true, memory_order_release);
}

void live_answer(struct resolver *r, struct live_question *q)
{
	int err = resolve(r, &q->query, &q->answer, answered, q, &q->id);

	if (err != -EINPROGRESS) {
		q->err = err;
		atomic_store_explicit(&q->is_answered, true, memory_order_release);
	}
}

static struct asked *asked_of(struct live *l, const struct conf_name *name)
{
	struct asked *a;

	for (unsigned i = 0; i < l->n_names; i++)
		if (conf_who_is(&l->names[i].who, name->pool, name->name))
			return &l->names[i];
	if (l->n_names < CONF_NAMES_MAX && (a = grow((void **)&l->names, &l->n_names, sizeof(*a)))) {
		who_set(&a->who, name->pool, name->name);
		return a;
	}
	return NULL;
}

static void ask(struct live *l, struct asked *a, const struct conf_name *name)
{
	struct live_question *q = calloc(1, sizeof(*q));

	a->next_ms = l->p.now_ms(l->p.ctx) + LIVE_ASK_MS;
	if (!q)
		return;
	snprintf(q->host, sizeof(q->host), "%.*s", SV_ARG(name->host));
	q->query = (struct resolve_query){ .host = sv_from(q->host), .port = name->port, .transport = name->transport,
		                           .transports = name->transports, .family = name->family };
	a->question = q;
	if (l->p.ask(l->p.ctx, q)) {
		free(q);
		a->question = NULL;
	}
}

static struct conf_addresses *addresses_of(struct conf_live *o, const struct conf_who *who)
{
	for (unsigned i = 0; i < o->n_addresses; i++)
		if (conf_who_is(&o->addresses[i].who, sv_from(who->pool), sv_from(who->name)))
			return &o->addresses[i];
	return NULL;
}

static bool has_addr(const struct addr *all, unsigned n, const struct addr *one)
{
	for (unsigned i = 0; i < n; i++)
		if (addr_eq(&all[i], one))
			return true;
	return false;
}

/* Each once: several names of an SRV record may lead to one address. */
static void addresses_of_answer(struct conf_addresses *out, const struct conf_who *who, const struct resolve_answer *a)
{
	out->who = *who;
	out->n = 0;
	for (unsigned i = 0; i < a->n && out->n < CONF_ADDRESSES_MAX; i++) {
		if (has_addr(out->addr, out->n, &a->addr[i]))
			continue;
		out->transport[out->n] = a->transport[i];
		out->tier[out->n] = a->tier[i];
		out->addr[out->n++] = a->addr[i];
	}
}

/* Servers rotate the order of their answers: only the set counts. */
static bool is_same(const struct conf_addresses *have, const struct conf_addresses *fresh)
{
	if (!have || have->n != fresh->n)
		return false;
	for (unsigned i = 0; i < fresh->n; i++) {
		unsigned k = 0;

		while (k < have->n && !addr_eq(&have->addr[k], &fresh->addr[i]))
			k++;
		if (k == have->n || have->transport[k] != fresh->transport[i] || have->tier[k] != fresh->tier[i])
			return false;
	}
	return true;
}

/* LESSONS 29: a name that does not resolve any more leaves its last addresses in place, each of them probed; that is said once. */
static void take_answer(struct live *l, struct asked *a)
{
	struct live_question *q = a->question;
	struct conf_live *o = overlay(l);
	struct conf_addresses *have = addresses_of(o, &a->who), fresh;
	int err = q->err ? q->err : q->answer.n ? 0 : -ENOENT;

	if (err && err != a->err)
		log_at(l->p.log, LOG_WARN, "destination.unresolved", "pool=%s name=%s host=%s addresses_kept=%u error=%s", a->who.pool,
		       a->who.name, q->host, have ? have->n : 0, strerror(-err));
	a->err = err;
	a->question = NULL;
	if (!err)
		addresses_of_answer(&fresh, &a->who, &q->answer);
	if (!err && !is_same(have, &fresh) && (have || (have = grow((void **)&o->addresses, &o->n_addresses, sizeof(*have))))) {
		*have = fresh;
		l->is_stale = true;
	}
	free(q);
}

/* Those that nobody wants any more, and are not on their way, go with what is known of them. */
static void drop_names(struct live *l)
{
	struct conf_live *o = overlay(l);

	for (unsigned i = 0; i < l->n_names;) {
		struct conf_addresses *have = addresses_of(o, &l->names[i].who);

		if (l->names[i].is_wanted || l->names[i].question) {
			i++;
			continue;
		}
		if (have)
			*have = o->addresses[--o->n_addresses];
		l->names[i] = l->names[--l->n_names];
	}
}

static void look_at_names(struct live *l)
{
	const struct conf *c = now(l);

	for (unsigned i = 0; i < l->n_names; i++)
		l->names[i].is_wanted = false;
	for (unsigned i = 0; i < c->n_names; i++) {
		struct asked *a = asked_of(l, &c->names[i]);

		if (!a)
			continue;
		a->is_wanted = true;
		if (!a->question && l->p.now_ms(l->p.ctx) >= a->next_ms)
			ask(l, a, &c->names[i]);
	}
	for (unsigned i = 0; i < l->n_names; i++)
		if (l->names[i].question && atomic_load_explicit(&l->names[i].question->is_answered, memory_order_acquire))
			take_answer(l, &l->names[i]);
	drop_names(l);
}

/* Who leaves ------------------------------------------------------------------------------------------------------ */

static void look_at_leaving(struct live *l)
{
	struct conf_live *o = overlay(l);

	for (unsigned i = 0; i < o->n_leaving;) {
		const struct conf_destination *d = destination_of(now(l), &o->leaving[i].who);
		bool is_there = d && d->is_leaving;

		if (is_there && dest_load(l->p.publisher->shared->pools, pools_slot(l->p.publisher->shared->pools, now(l), d->id))) {
			i++;
			continue;
		}
		o->leaving[i] = o->leaving[--o->n_leaving];
		l->is_stale |= is_there;
	}
}

/* Life ------------------------------------------------------------------------------------------------------------ */

void live_poll(struct live *l)
{
	uint64_t now_ms = l->p.now_ms(l->p.ctx);
	bool has_file = look_at_files(l);
	int err;

	look_at_names(l);
	look_at_leaving(l);
	if (!has_file && (!l->is_stale || now_ms < l->retry_ms))
		return;
	err = renew_quietly(l, "files, names or calls that ended");
	l->is_stale |= err == -EBUSY;
	l->retry_ms = err && err != -EBUSY ? now_ms + LIVE_RETRY_MS : 0;
}

int live_new(struct live **out, const struct live_params *p)
{
	struct live *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->p = *p;
	if ((err = begin(l))) {
		live_free(l);
		return err;
	}
	*out = l;
	return 0;
}

void live_free(struct live *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < l->n_names; i++)
		free(l->names[i].question);
	free(l->names);
	free(l->files);
	free(l);
}
