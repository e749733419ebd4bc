/* Each allocation of a reload fails in turn: a configuration comes into force whole, or the old one stays; calls go on either way. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include "sbc/publish.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* Two pools become sticky at once. */
#define FLOW_STICKY \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, sticky: { by: to-user, on-drain: stay }, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] }, " \
	"more: { zone: core, probe: off, sticky: { by: to-user }, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" FLOW_ROUTES

enum { USERS = 8 };

static uint64_t adopted(void *ctx)
{
	struct rig *r = ctx;
	uint64_t lowest = UINT64_MAX;

	for (unsigned i = 0; i < r->shared.workers; i++) {
		uint64_t gen = atomic_load(&r->workers[i].conf_gen);

		lowest = gen < lowest ? gen : lowest;
	}
	return lowest;
}

static void file_write(const char *file, const char *yaml)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fputs(yaml, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void tick(struct rig *r)
{
	for (unsigned i = 0; i < r->shared.workers; i++)
		worker_tick(&r->workers[i], r->now_ms);
}

/* The rig's first snapshot, under the name of a file that can be read again. */
static void publisher_begin(struct publisher *p, struct rig *r, char *file)
{
	*p = (struct publisher){ .shared = &r->shared, .now = r->conf, .adopted = adopted, .ctx = r };
	r->conf->file = sv_from(file);
}

/* There is memory for all they need but for what the reload lacked: a worker that has the new snapshot asks one that has not. */
static void users_write(struct flow *f)
{
	struct got g = { 0 };

	oom_pause();
	for (unsigned i = 0; i < USERS; i++)
		rig_say(f->rig, ALICE, EDGE, "",
		        "MESSAGE sip:user%u@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKuser%u\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=a%u\nTo: <sip:user%u@example.com>\nCall-ID: user%u\nCSeq: 1 MESSAGE\n", i, i, i, i, i);
	rig_after(f->rig, 0);
	while (rig_take(f->rig, BOB, "MESSAGE ", &g))
		flow_answer(f->rig, BOB, CORE, &g, 200, NULL, NULL, "", "");
	got_free(&g);
	oom_resume();
}

/* Returns whether an allocation failed. */
static bool reload_once(unsigned long n, unsigned long more, char *file, const char *to)
{
	struct conf_notes notes;
	struct publisher p;
	struct flow f;
	long live = oom_live();
	uint64_t before;
	bool has_failed;
	int err;

	flow_answered(&f, FLOW_ONE, 2, 1);
	file_write(file, to);
	publisher_begin(&p, f.rig, file);
	before = p.now->gen;
	conf_notes_init(&notes);
	oom_arm(n, more);
	err = publisher_reload(&p, &notes);
	tick(f.rig);
	users_write(&f);
	tick(f.rig);
	has_failed = oom_disarm();
	assert_true(err ? p.now->gen == before : p.now->gen == before + 1);
	assert_true(err == 0 || notes.errors || notes.out_of_memory || err == -ENOMEM);
	conf_notes_fini(&notes);
	conf_notes_init(&notes);
	assert_int_equal(publisher_reload(&p, &notes), 0); /* memory is back, and so is the file's word */
	tick(f.rig);
	assert_int_equal(adopted(f.rig), p.now->gen);
	publisher_collect(&p);
	assert_int_equal(p.n_old, 0);
	conf_notes_fini(&notes);
	f.rig->conf = p.now;
	rig_after(f.rig, 100);
	rig_forget(f.rig, ALICE);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_reload(f.rig, FLOW_ONE); /* keys are forgotten */
	flow_end(&f);
	assert_int_equal(oom_live(), live);
	return has_failed;
}

static void each_allocation(const char *to)
{
	static const unsigned long more[] = { 0, 1, 100000 };
	char file[] = "/tmp/alloc-reload-XXXXXX";
	int fd = mkstemp(file);

	assert_true(fd >= 0);
	close(fd);
	for (unsigned i = 0; i < 3; i++) {
		unsigned long n = 1;

		while (reload_once(n, more[i], file, to))
			n++;
		if (i == 0)
			print_message("reload: %lu allocations, each of them failed\n", n - 1);
		assert_true(n > 5);
	}
	unlink(file);
}

static void each_allocation_of_a_reload(void **state)
{
	(void)state;
	each_allocation(FLOW_TWO);
}

static void each_allocation_of_a_sticky_reload(void **state)
{
	(void)state;
	each_allocation(FLOW_STICKY);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_allocation_of_a_reload), cmocka_unit_test(each_allocation_of_a_sticky_reload) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
