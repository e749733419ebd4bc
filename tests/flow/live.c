/* Destinations that come, go and move while calls are up: by hand, by a file, by a name (sbc/live.h). */
#include "tests/flow/flow.h"
#include "sbc/live.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define DAVE "10.0.0.23:5060"
#define BOB_ONLY "destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }]"

#define TWO_OF(a, b) "destinations: [{ name: " a ", uri: \"sip:10.0.0.21:5060\" }, { name: " b ", uri: \"sip:10.0.0.23:5060\" }]"

static const char *const servers[] = { BOB, CAROL, DAVE };

/* A node with a publisher, and what changes its destinations. */
struct scene {
	struct rig *rig;
	struct publisher publisher;
	struct live *live;
	char dir[64], file[96], more[96];
	bool is_deaf;                  /* workers adopt nothing */
	uint64_t ahead_ms;             /* of the rig's clock, for what changes destinations alone */
	unsigned calls;
};

static uint64_t adopted(void *ctx)
{
	struct scene *s = ctx;
	uint64_t lowest = UINT64_MAX;

	for (unsigned i = 0; i < s->rig->shared.workers; i++) {
		uint64_t gen = atomic_load(&s->rig->workers[i].conf_gen);

		lowest = gen < lowest ? gen : lowest;
	}
	return lowest;
}

static void tick(struct scene *s)
{
	for (unsigned i = 0; i < s->rig->shared.workers && !s->is_deaf; i++)
		worker_tick(&s->rig->workers[i], s->rig->now_ms);
	publisher_collect(&s->publisher);
}

static void on_published(void *ctx)
{
	struct scene *s = ctx;

	s->rig->conf = s->publisher.now;
	for (unsigned i = 0; i < s->rig->shared.workers && !s->is_deaf; i++)
		worker_tick(&s->rig->workers[i], s->rig->now_ms);
}

static uint64_t now_ms(void *ctx)
{
	const struct scene *s = ctx;

	return s->rig->now_ms + s->ahead_ms;
}

static int ask(void *ctx, struct live_question *q)
{
	live_answer(((struct scene *)ctx)->rig->workers[0].resolver, q);
	return 0;
}

static void write_file(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void live_start(struct scene *s)
{
	assert_int_equal(live_new(&s->live, &(struct live_params){ .publisher = &s->publisher, .now_ms = now_ms, .ask = ask,
	                                                           .on_published = on_published, .ctx = s }), 0);
	s->rig->conf = s->publisher.now;
	tick(s);
}

/* The pool `apps` with these keys; @MORE stands for the path of its destinations-file. */
static const char *yaml_of(struct scene *s, const char *keys, char yaml[4096])
{
	const char *more = strstr(keys, "@MORE");

	snprintf(yaml, 4096, FLOW_ZONES "pools: { apps: { zone: core, probe: off, %.*s%s%s } }\n" FLOW_ROUTES "state: %s\n",
	         more ? (int)(more - keys) : (int)strlen(keys), keys, more ? s->more : "", more ? more + 5 : "", s->dir);
	return yaml;
}

static void begin_node(struct scene *s, const char *keys)
{
	char yaml[4096];

	write_file(s->file, yaml_of(s, keys, yaml));
	s->rig = rig_new(yaml, 2, 1);
	s->rig->conf->file = sv_from(s->file);
	s->publisher = (struct publisher){ .shared = &s->rig->shared, .now = s->rig->conf, .adopted = adopted, .ctx = s };
	live_start(s);
}

static void end_node(struct scene *s)
{
	s->is_deaf = false;
	rig_after(s->rig, 3600000);
	for (unsigned i = 0; i < sizeof(servers) / sizeof(*servers); i++)
		rig_forget(s->rig, servers[i]);
	rig_forget(s->rig, ALICE);
	tick(s);
	assert_int_equal(s->publisher.n_old, 0);
	live_free(s->live);
	s->rig->conf = s->publisher.now;
	s->publisher.now = NULL;
	publisher_fini(&s->publisher);
	rig_free(s->rig, true);
}

static void prepare(struct scene *s)
{
	*s = (struct scene){ .dir = "/tmp/flow-live-XXXXXX" };
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->file, sizeof(s->file), "%s/sbc.yaml", s->dir);
	snprintf(s->more, sizeof(s->more), "%s/more", s->dir);
}

static void begin(struct scene *s, const char *keys)
{
	prepare(s);
	begin_node(s, keys);
}

static void end(struct scene *s)
{
	char path[128];

	end_node(s);
	snprintf(path, sizeof(path), "%s/pools.changes", s->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/pools.changes.bad", s->dir);
	unlink(path);
	unlink(s->file);
	unlink(s->more);
	assert_int_equal(rmdir(s->dir), 0);
}

/* Names of the destinations, with their weights; '!' leaves. */
static const char *names(struct scene *s)
{
	static char text[1024];

	*text = '\0';
	for (unsigned i = 0; i < s->publisher.now->n_destinations; i++) {
		const struct conf_destination *d = &s->publisher.now->destinations[i];

		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%.*s=%u%s", i ? " " : "", SV_ARG(d->name), d->weight,
		         d->is_leaving ? "!" : "");
	}
	return text;
}

/* Where a new call goes; -1: nowhere. It rings there, and `g` is what it got; without `g` it is refused at once. */
static int calls(struct scene *s, struct got *g)
{
	struct got own = { 0 }, *at = g ? g : &own;
	unsigned n = ++s->calls;
	char to[256];
	int server = -1;

	rig_say(s->rig, ALICE, EDGE, SDP,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKlive%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=t%u\nTo: <sip:bob@example.com>\nCall-ID: live%u\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@192.0.2.10:5060>\nContent-Type: application/sdp\n", n, n, n);
	for (int i = 0; i < 3; i++)
		if (rig_has_message(s->rig, servers[i])) {
			server = i;
			rig_expect(s->rig, servers[i], "INVITE ", at);
			snprintf(to, sizeof(to), "%s;tag=s%u", got_value(at, HDR_TO), n);
			flow_answer(s->rig, servers[i], CORE, at, g ? 180 : 486, to, NULL, "", "");
		}
	if (!g && server >= 0)
		rig_forget(s->rig, servers[server]);
	rig_forget(s->rig, ALICE);
	got_free(&own);
	return server;
}

static void refuses(struct scene *s, int server, const struct got *g)
{
	char to[256];

	snprintf(to, sizeof(to), "%s;tag=late", got_value(g, HDR_TO));
	flow_answer(s->rig, servers[server], CORE, g, 486, to, NULL, "", "");
	rig_forget(s->rig, servers[server]);
	rig_forget(s->rig, ALICE);
}

static int ok(struct scene *s, int (*what)(struct live *l, struct sv who, struct conf_notes *notes, char hint[128]), const char *who,
              const char *hint)
{
	struct conf_notes notes;
	char said[128];
	int err;

	conf_notes_init(&notes);
	err = what(s->live, sv_from(who), &notes, said);
	conf_notes_fini(&notes);
	assert_string_equal(said, hint);
	tick(s);
	return err;
}

static int adds(struct scene *s, const char *pool, const char *name, const char *uri, const char *hint)
{
	struct conf_notes notes;
	char said[128];
	int err;

	conf_notes_init(&notes);
	err = live_add(s->live, sv_from(pool), sv_from(name), sv_from(uri), 2, &notes, said);
	assert_true(err != -EINVAL || notes.errors);
	conf_notes_fini(&notes);
	assert_string_equal(said, hint);
	tick(s);
	return err;
}

static int weighs(struct scene *s, const char *who, unsigned weight)
{
	struct conf_notes notes;
	char said[128];
	int err;

	conf_notes_init(&notes);
	err = live_weigh(s->live, sv_from(who), weight, &notes, said);
	conf_notes_fini(&notes);
	tick(s);
	return err;
}

static void polls(struct scene *s, unsigned times)
{
	while (times--) {
		rig_after(s->rig, 500);
		live_poll(s->live);
		tick(s);
	}
}

static struct dest_info info(struct scene *s, const char *name)
{
	struct dest_info i;

	dest_info(s->rig->shared.pools, dest_find(s->rig->shared.pools, s->publisher.now, sv_from(name), NULL), &i);
	return i;
}

/* By hand --------------------------------------------------------------------------------------------------------- */

static void added_used_removed_and_gone_with_its_last_call(void **state)
{
	struct scene s;
	struct got g = { 0 };
	int first;

	(void)state;
	begin(&s, BOB_ONLY);
	assert_int_equal(adds(&s, "apps", "carol", "sip:10.0.0.22:5060", ""), 0);
	assert_string_equal(names(&s), "bob=1 carol=2");
	while ((first = calls(&s, &g)) != 1)
		refuses(&s, first, &g);
	assert_int_equal(ok(&s, live_remove, "apps/carol", ""), 0);
	assert_string_equal(names(&s), "bob=1 carol=0!");
	assert_int_equal(info(&s, "apps/carol").load, 1);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(calls(&s, NULL), 0);
	polls(&s, 3);
	assert_string_equal(names(&s), "bob=1 carol=0!");
	refuses(&s, 1, &g);
	polls(&s, 1);
	assert_string_equal(names(&s), "bob=1");
	got_free(&g);
	end(&s);
}

/* What is known of the others stays when one changes. */
static void a_change_keeps_what_is_known_of_the_others(void **state)
{
	struct scene s;
	struct got g = { 0 };
	struct dest_info before, after;

	(void)state;
	begin(&s, BOB_ONLY);
	assert_int_equal(calls(&s, &g), 0);
	dest_report(s.rig->shared.pools, s.publisher.now, 0, CALL_FAILED, s.rig->now_ms, "503");
	dest_latency(s.rig->shared.pools, pools_slot(s.rig->shared.pools, s.publisher.now, 0), 1234);
	before = info(&s, "apps/bob");
	assert_int_equal(adds(&s, "apps", "carol", "sip:10.0.0.22:5060", ""), 0);
	assert_int_equal(weighs(&s, "apps/bob", 7), 0);
	after = info(&s, "apps/bob");
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(after.load, 1);
	assert_string_equal(names(&s), "bob=7 carol=2");
	refuses(&s, 0, &g);
	got_free(&g);
	end(&s);
}

static bool has_note(const struct conf_notes *notes, const char *of)
{
	list_each(n, &notes->list)
		if (strstr(owner_of(n, struct conf_note, in_list)->path, of))
			return true;
	return false;
}

static void what_was_changed_outlives_restart_and_reload(void **state)
{
	struct scene s;
	struct conf_notes notes;
	char yaml[4096];

	(void)state;
	begin(&s, TWO_OF("bob", "dave"));
	assert_int_equal(adds(&s, "apps", "carol", "sip:10.0.0.22:5060", ""), 0);
	assert_int_equal(ok(&s, live_remove, "apps/bob", ""), 0);
	assert_int_equal(weighs(&s, "apps/dave", 5), 0);
	assert_string_equal(names(&s), "dave=5 carol=2");
	end_node(&s);
	begin_node(&s, TWO_OF("bob", "dave"));
	assert_string_equal(names(&s), "dave=5 carol=2");
	write_file(s.file, yaml_of(&s, TWO_OF("bob", "eve"), yaml));
	conf_notes_init(&notes);
	assert_int_equal(publisher_reload(&s.publisher, &notes), 0);
	on_published(&s);
	assert_true(has_note(&notes, "apps/dave"));
	assert_false(has_note(&notes, "apps/carol") || has_note(&notes, "apps/bob"));
	conf_notes_fini(&notes);
	tick(&s);
	assert_string_equal(names(&s), "eve=1 carol=2");
	assert_int_equal(ok(&s, live_forget, "apps/bob", ""), 0);
	assert_string_equal(names(&s), "bob=1 eve=1 carol=2");
	assert_int_equal(ok(&s, live_forget, "apps/carol", ""), 0);
	assert_int_equal(ok(&s, live_forget, "apps/dave", ""), 0);
	assert_int_equal(ok(&s, live_forget, "apps/dave", ""), -ENOENT);
	assert_string_equal(names(&s), "bob=1 eve=1");
	end(&s);
}

static void a_file_that_was_edited_waits_for_its_reload(void **state)
{
	struct scene s;
	char yaml[4096];

	(void)state;
	begin(&s, BOB_ONLY);
	write_file(s.file, yaml_of(&s, "half: written", yaml));
	assert_int_equal(adds(&s, "apps", "carol", "sip:10.0.0.22:5060", ""), 0);
	assert_string_equal(names(&s), "bob=1 carol=2");
	end(&s);
}

static void what_cannot_be_changes_nothing(void **state)
{
	struct scene s;
	uint64_t gen;

	(void)state;
	begin(&s, BOB_ONLY);
	gen = s.publisher.now->gen;
	assert_int_equal(adds(&s, "aps", "carol", "sip:10.0.0.22", "apps"), -ENOENT);
	assert_int_equal(adds(&s, "apps", "bob", "sip:10.0.0.22", ""), -EEXIST);
	assert_int_equal(adds(&s, "apps", "carol", "http://10.0.0.22", ""), -EINVAL);
	assert_int_equal(adds(&s, "apps", "a b", "sip:10.0.0.22", ""), -EINVAL);
	assert_int_equal(adds(&s, "apps", "carol", "sip:10.0.0.22\napps", ""), -EINVAL);
	assert_int_equal(ok(&s, live_remove, "apps/bop", "apps/bob"), -ENOENT);
	assert_int_equal(ok(&s, live_remove, "bob", ""), -ENOENT);
	assert_int_equal(ok(&s, live_remove, "", ""), -ENOENT);
	assert_int_equal(ok(&s, live_remove, "apps/bob", ""), -EINVAL); /* the last one */
	assert_int_equal(weighs(&s, "apps/bop", 1), -ENOENT);
	assert_int_equal(s.publisher.live.n_changes, 0);
	assert_int_equal(s.publisher.now->gen, gen);
	assert_string_equal(names(&s), "bob=1");
	end(&s);
}

/* LESSONS 35: snapshots follow each other one by one; who comes while workers have not let go of the old ones is told so. */
static void too_many_at_once_are_told_to_wait(void **state)
{
	struct scene s;
	char name[16];
	int err = 0;
	unsigned n = 0;

	(void)state;
	begin(&s, BOB_ONLY);
	s.is_deaf = true;
	for (; !err && n < 10; n++) {
		snprintf(name, sizeof(name), "x%u", n);
		err = adds(&s, "apps", name, "sip:10.0.0.22", "");
	}
	assert_int_equal(err, -EBUSY);
	assert_int_equal(n, PUBLISH_OLD_MAX + 1);
	assert_int_equal(s.publisher.live.n_changes, PUBLISH_OLD_MAX);
	s.is_deaf = false;
	tick(&s);
	assert_int_equal(adds(&s, "apps", name, "sip:10.0.0.22", ""), 0);
	end(&s);
}

static void the_kept_file_is_not_trusted(void **state)
{
	static const char *const bad[] = {
		"add apps carol 2 sip:10.0.0.22 more", "add apps carol 2", "ad apps carol 2 sip:10.0.0.22", "remove apps bob", "remove apps bob 0 x",
		"weight apps bob 1001", "weight apps bob -1", "weight apps bob", "", "add apps carol 2 sip:10.0.0.22\001\002", "\t",
	};
	struct conf_change *out = calloc(CONF_CHANGES_MAX, sizeof(*out));
	char text[1024], back[1024];
	unsigned n, line;

	(void)state;
	assert_non_null(out);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		n = line = 0;
		snprintf(text, sizeof(text), "weight apps bob 5\n%s\nremove apps bob 0\n", bad[i]);
		if (i == 9) /* bytes that no parser of ours refuses here are refused when the snapshot is made */
			continue;
		assert_int_equal(live_read(out, &n, sv_from(text), &line), -EBADMSG);
		assert_int_equal(line, 2);
		assert_int_equal(n, 2);
		assert_int_equal(out[1].kind, CHANGE_REMOVE);
	}
	n = 0;
	memset(text, 'x', sizeof(text));
	assert_int_equal(live_read(out, &n, (struct sv){ text, sizeof(text) }, &line), -EBADMSG);
	assert_int_equal(n, 0);
	snprintf(text, sizeof(text), "add apps carol 2 sip:10.0.0.22;transport=tcp\nremove apps bob 0\nweight apps eve 9\n");
	assert_int_equal(live_read(out, &n, sv_from(text), &line), 0);
	assert_int_equal(live_write(out, n, back, sizeof(back)), strlen(text));
	assert_string_equal(back, text);
	free(out);
}

static void a_damaged_file_is_put_aside(void **state)
{
	struct scene s;
	char path[128];

	(void)state;
	begin(&s, BOB_ONLY);
	end_node(&s);
	snprintf(path, sizeof(path), "%s/pools.changes", s.dir);
	write_file(path, "weight apps bob 5\nnonsense\n");
	begin_node(&s, BOB_ONLY);
	assert_string_equal(names(&s), "bob=5");
	assert_int_not_equal(access(path, F_OK), 0);
	strcat(path, ".bad");
	assert_int_equal(access(path, F_OK), 0);
	end(&s);
}

/* By a file ------------------------------------------------------------------------------------------------------- */

static void a_watched_file(void **state)
{
	struct scene s;
	uint64_t gen;

	(void)state;
	prepare(&s);
	write_file(s.more, "carol sip:10.0.0.22 weight=3\n");
	begin_node(&s, "destinations-file: @MORE, " BOB_ONLY);
	assert_string_equal(names(&s), "bob=1 carol=3");
	gen = s.publisher.now->gen;
	polls(&s, 5);
	assert_int_equal(s.publisher.now->gen, gen); /* nothing new: no new snapshot */
	write_file(s.more, "carol sip:10.0.0.22 weight=3\ndave sip:10.0.0.23\n");
	polls(&s, 1);
	assert_int_equal(s.publisher.now->gen, gen); /* perhaps it is still being written */
	polls(&s, 1);
	assert_string_equal(names(&s), "bob=1 carol=3 dave=1");
	write_file(s.more, "carol tel:1\n");
	polls(&s, 5);
	assert_string_equal(names(&s), "bob=1 carol=3 dave=1"); /* no good: nothing changes */
	assert_int_equal(s.publisher.now->gen, gen + 1);
	assert_int_equal(calls(&s, NULL) >= 0, true);
	unlink(s.more);
	polls(&s, 5);
	assert_string_equal(names(&s), "bob=1 carol=3 dave=1");
	write_file(s.more, "dave sip:10.0.0.23 weight=9\n");
	polls(&s, 2);
	assert_string_equal(names(&s), "bob=1 dave=9");
	end(&s);
}

/* By a name ------------------------------------------------------------------------------------------------------- */

static void name_leads(struct rig_name *n, const char *host, const char *one, const char *other)
{
	*n = (struct rig_name){ .host = host };
	if (one)
		assert_int_equal(addr_parse(&n->addr, sv_from(one)), 0);
	if (other)
		assert_int_equal(addr_parse(&n->other, sv_from(other)), 0);
}

static void a_name_with_several_addresses(void **state)
{
	struct scene s;
	struct got g = { 0 };
	unsigned seen = 0;

	(void)state;
	begin(&s, "destinations: [{ name: app, uri: \"sip:app.example.com\", each-address: on }]");
	name_leads(&s.rig->names[0], "app.example.com", BOB, CAROL);
	s.rig->n_names = 1;
	assert_string_equal(names(&s), "app=1");
	assert_int_equal(calls(&s, NULL), 0); /* before it is known: as any other name */
	polls(&s, 1);
	assert_string_equal(names(&s), "app/10.0.0.21=1 app/10.0.0.22=1");
	for (unsigned i = 0; i < 4; i++)
		seen |= 1u << calls(&s, NULL);
	assert_int_equal(seen, 3);
	while (calls(&s, &g) != 0)
		refuses(&s, 1, &g);
	name_leads(&s.rig->names[0], "app.example.com", DAVE, CAROL); /* Bob's address disappears, while he has a call */
	polls(&s, 12);
	assert_string_equal(names(&s), "app/10.0.0.23=1 app/10.0.0.22=1 app/10.0.0.21=0!");
	for (unsigned i = 0; i < 6; i++)
		assert_int_not_equal(calls(&s, NULL), 0);
	refuses(&s, 0, &g);
	polls(&s, 1);
	assert_string_equal(names(&s), "app/10.0.0.23=1 app/10.0.0.22=1");
	name_leads(&s.rig->names[0], "app.example.com", CAROL, DAVE); /* only another order */
	polls(&s, 12);
	assert_string_equal(names(&s), "app/10.0.0.23=1 app/10.0.0.22=1");
	name_leads(&s.rig->names[0], "app.example.com", NULL, NULL); /* LESSONS 29: it does not resolve any more */
	s.rig->names[0].delay_ms = 700;
	polls(&s, 24);
	s.rig->n_names = 0;
	polls(&s, 12);
	assert_string_equal(names(&s), "app/10.0.0.23=1 app/10.0.0.22=1");
	assert_int_equal(ok(&s, live_remove, "apps/app/10.0.0.22", ""), -ENOTSUP);
	assert_int_equal(weighs(&s, "apps/app", 6), 0);
	assert_string_equal(names(&s), "app/10.0.0.23=6 app/10.0.0.22=6");
	got_free(&g);
	end(&s);
}

/* Two names of an SRV record, one server: one destination, and nothing to publish again at each look. */
static void an_address_that_comes_twice_is_one(void **state)
{
	struct scene s;
	uint64_t gen;

	(void)state;
	begin(&s, "destinations: [{ name: app, uri: \"sip:app.example.com\", each-address: on }]");
	name_leads(&s.rig->names[0], "app.example.com", BOB, BOB);
	s.rig->n_names = 1;
	polls(&s, 12);
	assert_string_equal(names(&s), "app/10.0.0.21=1");
	gen = s.publisher.now->gen;
	polls(&s, 60);
	assert_int_equal(s.publisher.now->gen, gen);
	end(&s);
}

/* RFC 2782: the second priority is for when the first has nobody left; which transport an address wants, DNS says. */
static void priorities_of_a_name_are_tiers(void **state)
{
	struct resolve_answer all = { .n = 3, .tier = { 0, 0, 1 }, .transport = { T_UDP, T_TCP, T_UDP } };
	struct scene s;
	unsigned seen = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(addr_parse(&all.addr[i], sv_from(servers[i])), 0);
	begin(&s, "failover: { on: [] }, destinations: [{ name: app, uri: \"sip:app.example.com\", each-address: on }]");
	s.rig->names[0] = (struct rig_name){ .host = "app.example.com", .all = &all };
	s.rig->n_names = 1;
	polls(&s, 1);
	assert_string_equal(names(&s), "app/10.0.0.21=1 app/10.0.0.22=1 app/10.0.0.23=1");
	assert_int_equal(s.publisher.now->destinations[1].transport, T_TCP);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(s.publisher.now->destinations[i].priority, all.tier[i]);
	for (unsigned i = 0; i < 4; i++)
		seen |= 1u << calls(&s, NULL);
	assert_int_equal(seen, 3);
	for (unsigned d = 0; d < 2; d++)
		for (unsigned i = 0; i < 3; i++)
			dest_report(s.rig->shared.pools, s.publisher.now, d, CALL_FAILED, s.rig->now_ms, "no response");
	assert_int_equal(calls(&s, NULL), 2);
	all.tier[2] = 0; /* the zone has changed */
	polls(&s, 12);
	assert_int_equal(s.publisher.now->destinations[2].priority, 0);
	end(&s);
}

/* Something else is in the way of a new snapshot: it is tried again, not forgotten. */
static void what_could_not_be_published_is_tried_again(void **state)
{
	struct scene s;

	(void)state;
	prepare(&s);
	write_file(s.more, "carol sip:10.0.0.22\n");
	begin_node(&s, "destinations-file: @MORE, destinations: [{ name: app, uri: \"sip:app.example.com\", each-address: on }]");
	name_leads(&s.rig->names[0], "app.example.com", BOB, NULL);
	s.rig->n_names = 1;
	write_file(s.more, "carol nonsense\n");
	polls(&s, 10);
	assert_string_equal(names(&s), "app=1 carol=1");
	write_file(s.more, "carol sip:10.0.0.22 weight=1 # another stamp\n");
	polls(&s, 30);
	assert_string_equal(names(&s), "carol=1 app/10.0.0.21=1");
	s.is_deaf = true; /* workers that hold the old ones are waited for */
	for (unsigned i = 0; i < 4; i++) {
		name_leads(&s.rig->names[0], "app.example.com", servers[2 - i % 2], NULL);
		s.ahead_ms += LIVE_ASK_MS;
		live_poll(s.live);
	}
	assert_string_equal(names(&s), "carol=1 app/10.0.0.23=1");
	s.is_deaf = false;
	tick(&s);
	live_poll(s.live);
	assert_string_equal(names(&s), "carol=1 app/10.0.0.22=1");
	end(&s);
}

/* One of them is dead: the others are not (LESSONS 36). */
static void each_address_has_a_health_of_its_own(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, "failover: { on: [] }, destinations: [{ name: app, uri: \"sip:app.example.com\", each-address: on }]");
	name_leads(&s.rig->names[0], "app.example.com", BOB, CAROL);
	s.rig->n_names = 1;
	polls(&s, 1);
	for (unsigned i = 0; i < 3; i++)
		dest_report(s.rig->shared.pools, s.publisher.now, 0, CALL_FAILED, s.rig->now_ms, "no response");
	assert_false(info(&s, "apps/app/10.0.0.21").is_up);
	assert_true(info(&s, "apps/app/10.0.0.22").is_up);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(calls(&s, NULL), 1);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(added_used_removed_and_gone_with_its_last_call),
		cmocka_unit_test(a_change_keeps_what_is_known_of_the_others),
		cmocka_unit_test(what_was_changed_outlives_restart_and_reload),
		cmocka_unit_test(a_file_that_was_edited_waits_for_its_reload),
		cmocka_unit_test(what_cannot_be_changes_nothing),
		cmocka_unit_test(too_many_at_once_are_told_to_wait),
		cmocka_unit_test(the_kept_file_is_not_trusted),
		cmocka_unit_test(a_damaged_file_is_put_aside),
		cmocka_unit_test(a_watched_file),
		cmocka_unit_test(a_name_with_several_addresses),
		cmocka_unit_test(an_address_that_comes_twice_is_one),
		cmocka_unit_test(what_could_not_be_published_is_tried_again),
		cmocka_unit_test(each_address_has_a_health_of_its_own),
		cmocka_unit_test(priorities_of_a_name_are_tiers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
