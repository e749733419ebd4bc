/* A destination that is drained: no new calls, and everything else as before; what it still has, and how the last of it ends. */
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define URI "sip:bob@example.com"

static uint16_t slot_of(struct rig *r, const char *name)
{
	uint16_t slot = dest_find(r->shared.pools, r->conf, sv_from(name), NULL);

	assert_int_not_equal(slot, POOL_NO_SLOT);
	return slot;
}

static void put(struct rig *r, const char *name, enum dest_wish wish)
{
	dest_put_wish(r->shared.pools, slot_of(r, name), wish, r->now_ms);
}

static struct census_row count(struct rig *r, const char *name, struct spans *ages)
{
	static uint16_t row_of[POOL_DESTINATIONS_MAX];
	struct census_row row = { 0 };
	struct census c = { .row_of = row_of, .n_ages = 1, .rows = &row, .ages = ages };

	memset(row_of, 0xff, sizeof(row_of));
	row_of[slot_of(r, name)] = 0;
	*ages = (struct spans){ 0 };
	for (unsigned i = 0; i < r->shared.workers; i++)
		b2bua_census(r->workers[i].calls, &c);
	return row;
}

static void expect_calls(struct rig *r, const char *name, unsigned calls, unsigned subscriptions)
{
	struct spans ages;
	struct census_row row = count(r, name, &ages);

	assert_int_equal(row.calls, calls);
	assert_int_equal(row.subscriptions, subscriptions);
	assert_int_equal(spans_sum(&ages), calls);
	assert_int_equal(dest_load(r->shared.pools, slot_of(r, name)), calls);
}

static unsigned hang_up(struct rig *r, const char *name, unsigned max)
{
	unsigned done = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		done += b2bua_hangup_at(r->workers[i].calls, slot_of(r, name), max);
	rig_after(r, 0);
	return done;
}

/* Alice's first call goes to Bob, whoever's turn it is. */
static struct rig *begin(unsigned workers, struct phone *a, struct phone *b)
{
	struct rig *r = rig_new(FLOW_TWO, workers, 1);

	put(r, "apps/carol", WISH_DRAINING);
	phone_new(a, r, "alice", ALICE);
	phone_new(b, r, "bob", BOB);
	phones_talk(a, b, URI);
	put(r, "apps/carol", WISH_IN_SERVICE);
	return r;
}

static void end(struct rig *r)
{
	rig_after(r, 3600000);
	rig_forget(r, ALICE);
	rig_free(r, true);
}

static void another_call_goes_to_carol(struct rig *r, unsigned number)
{
	struct phone a, c;
	char at[32];

	snprintf(at, sizeof(at), "192.0.2.%u:5060", 100 + number);
	phone_new(&a, r, "anna", at);
	phone_new(&c, r, "carol", CAROL);
	phones_talk(&a, &c, URI);
	phones_end(&a, &c);
	phone_free(&a);
	phone_free(&c);
}

static void nothing_new_and_all_that_belongs_to_its_calls(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		struct phone a, b;
		struct rig *r = begin(workers, &a, &b);

		put(r, "apps/bob", WISH_DRAINING);
		for (unsigned i = 0; i < 4; i++)
			another_call_goes_to_carol(r, i);
		phone_asks(&a, "INVITE", "", OFFER);
		phone_gets(&b, "INVITE ");
		phone_answers(&b, 200, "", ANSWER);
		phone_gets(&a, "SIP/2.0 100");
		phone_gets(&a, "SIP/2.0 200");
		phone_acks(&a, "");
		phone_gets(&b, "ACK ");
		phones_exchange(&b, &a, "UPDATE", 200);
		phones_exchange(&a, &b, "INFO", 200);
		phone_asks(&a, "REFER", "Refer-To: <sip:dave@example.com>\n", "");
		phone_gets(&b, "REFER ");
		phone_answers(&b, 202, "", "");
		phone_gets(&a, "SIP/2.0 202");
		phone_notifies(&b, &a, "terminated;reason=noresource");
		expect_calls(r, "apps/bob", 1, 0);
		phones_end(&b, &a);
		expect_calls(r, "apps/bob", 0, 0);
		phone_free(&a);
		phone_free(&b);
		end(r);
	}
}

/* Replaces names a call that is there: it goes where that one is (RFC 3891), drained or not. Disabled it is as good as gone. */
static void who_replaces_one_of_its_calls_gets_there(void **state)
{
	struct phone a, b, anna, b2;
	struct rig *r = begin(2, &a, &b);
	char extra[512];

	(void)state;
	put(r, "apps/bob", WISH_DRAINING);
	phone_new(&anna, r, "anna", "192.0.2.77:5060");
	phone_new(&b2, r, "bob", BOB);
	snprintf(extra, sizeof(extra), "Replaces: %s\n", phone_call_name(&a));
	phone_calls(&anna, URI, extra, OFFER);
	phone_gets(&anna, "SIP/2.0 100");
	phone_gets(&b2, "INVITE ");
	call_is_named(&b2.invite, HDR_REPLACES, &b);
	phones_answered(&anna, &b2);
	phones_end(&b, &a);
	expect_calls(r, "apps/bob", 1, 0);
	phones_end(&anna, &b2);
	expect_calls(r, "apps/bob", 0, 0);
	phone_free(&a);
	phone_free(&b);
	phone_free(&anna);
	phone_free(&b2);
	end(r);
}

static void who_rings_when_it_begins_is_answered(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	put(f.rig, "apps/bob", WISH_DRAINING);
	expect_calls(f.rig, "apps/bob", 1, 0);
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	expect_calls(f.rig, "apps/bob", 1, 0);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	expect_calls(f.rig, "apps/bob", 0, 0);
	flow_end(&f);
}

/* A call without an address yet has its place all the same. */
static void who_waits_for_a_name_is_counted(void **state)
{
	struct rig *r = rig_new(FLOW_ZONES "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:bob.test\" }] } }\n"
	                        FLOW_ROUTES, 1, 1);
	struct phone a;

	(void)state;
	r->names[r->n_names++] = (struct rig_name){ .host = "bob.test", .delay_ms = 60000 };
	phone_new(&a, r, "alice", ALICE);
	phone_calls(&a, URI, "", OFFER);
	phone_gets(&a, "SIP/2.0 100");
	expect_calls(r, "apps/bob", 1, 0);
	assert_int_equal(hang_up(r, "apps/bob", 1), 1);
	phone_gets(&a, "SIP/2.0 503");
	phone_acks_refusal(&a);
	expect_calls(r, "apps/bob", 0, 0);
	phone_free(&a);
	end(r);
}

/* A subscription may last for weeks: it is shown, and no drain waits for it. */
static void subscriptions_are_counted_apart(void **state)
{
	struct rig *r = rig_new(FLOW_ONE, 2, 1);
	struct phone a, b;

	(void)state;
	phone_new(&a, r, "alice", ALICE);
	phone_new(&b, r, "bob", BOB);
	phone_begins(&a, "SUBSCRIBE", URI, "Event: presence\nExpires: 600\n", "");
	phone_gets(&b, "SUBSCRIBE ");
	phone_answers(&b, 200, "Expires: 600\n", "");
	phone_gets(&a, "SIP/2.0 200");
	expect_calls(r, "apps/bob", 0, 1);
	assert_int_equal(hang_up(r, "apps/bob", 10), 0);
	expect_calls(r, "apps/bob", 0, 1);
	phone_free(&a);
	phone_free(&b);
	end(r);
}

static void ages_and_durations(void **state)
{
	struct phone a, b;
	struct rig *r = begin(2, &a, &b);
	struct spans ages, ended = { 0 };
	struct census_row row;

	(void)state;
	rig_after(r, 60000);
	row = count(r, "apps/bob", &ages);
	assert_in_range(row.oldest_ms, 60000, 61000);
	assert_int_equal(ages.n[span_of(60000)], 1);
	dest_add_spans(r->shared.pools, slot_of(r, "apps/bob"), &ended);
	assert_int_equal(spans_sum(&ended), 0);
	rig_after(r, 40000);
	phones_end(&a, &b);
	dest_add_spans(r->shared.pools, slot_of(r, "apps/bob"), &ended);
	assert_int_equal(spans_sum(&ended), 1);
	assert_int_equal(ended.n[span_of(100000)], 1);
	phone_free(&a);
	phone_free(&b);
	end(r);
}

/* On the other node the call is as old as it was, and at the same destination. */
static void ages_outlive_a_node(void **state)
{
	struct flow f;
	struct spans ages;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	rig_after(f.rig, 60000);
	f.rig = rig_take_over(f.rig, FLOW_ONE, 2, 1);
	expect_calls(f.rig, "apps/bob", 1, 0);
	assert_in_range(count(f.rig, "apps/bob", &ages).oldest_ms, 60000, 62000);
	assert_int_equal(hang_up(f.rig, "apps/bob", 10), 1);
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	flow_end(&f);
}

/* The deadline: both sides get BYE with a reason, as many calls at a time as are asked for, and nobody elsewhere. */
static void stragglers_are_hung_up(void **state)
{
	enum { CALLS = 3 };
	struct phone a[CALLS], b[CALLS], anna, carol;
	struct rig *r = rig_new(FLOW_TWO, 1, 1);

	(void)state;
	put(r, "apps/carol", WISH_DRAINING);
	for (unsigned i = 0; i < CALLS; i++) {
		phone_new(&a[i], r, "alice", (const char *const[]){ "192.0.2.1:5060", "192.0.2.2:5060", "192.0.2.3:5060" }[i]);
		phone_new(&b[i], r, "bob", BOB);
		phones_talk(&a[i], &b[i], URI);
	}
	put(r, "apps/carol", WISH_IN_SERVICE);
	put(r, "apps/bob", WISH_DRAINING);
	phone_new(&anna, r, "anna", "192.0.2.77:5060");
	phone_new(&carol, r, "carol", CAROL);
	phones_talk(&anna, &carol, URI);
	for (unsigned i = 0; i < CALLS; i++) {
		assert_int_equal(hang_up(r, "apps/bob", i < 2 ? 1 : 10), 1); /* oldest first */
		phone_gets(&a[i], "BYE ");
		assert_true(got_has(&a[i].got, "text=\"drain-deadline\""));
		phone_answers(&a[i], 200, "", "");
		phone_gets(&b[i], "BYE ");
		assert_true(got_has(&b[i].got, "text=\"drain-deadline\""));
		phone_answers(&b[i], 200, "", "");
		expect_calls(r, "apps/bob", CALLS - 1 - i, 0);
		phone_free(&a[i]);
		phone_free(&b[i]);
	}
	assert_int_equal(hang_up(r, "apps/bob", 10), 0);
	expect_calls(r, "apps/carol", 1, 0);
	assert_non_null(strstr(r->cdrs[0], "\"drain-deadline\""));
	phones_end(&anna, &carol);
	phone_free(&anna);
	phone_free(&carol);
	end(r);
}

static void who_still_rings_is_refused(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_TWO, 1, 1);
	put(f.rig, "apps/carol", WISH_DRAINING);
	flow_invite(&f, BOB);
	put(f.rig, "apps/carol", WISH_IN_SERVICE);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	assert_int_equal(hang_up(f.rig, "apps/bob", 1), 1);
	flow_expect_at_alice(&f, "SIP/2.0 503");
	flow_refused(&f);
	flow_expect_at_bob(&f, "CANCEL ");
	expect_calls(f.rig, "apps/bob", 0, 0);
	rig_forget(f.rig, BOB);
	rig_after(f.rig, 100000);
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

/* A BYE is on its way: nobody says another. */
static void who_is_hanging_up_is_left_alone(void **state)
{
	struct phone a, b;
	struct rig *r = begin(1, &a, &b);

	(void)state;
	phone_asks(&a, "BYE", "", "");
	phone_gets(&b, "BYE ");
	assert_int_equal(hang_up(r, "apps/bob", 10), 0);
	phone_answers(&b, 200, "", "");
	phone_gets(&a, "SIP/2.0 200");
	expect_calls(r, "apps/bob", 0, 0);
	phone_free(&a);
	phone_free(&b);
	end(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_new_and_all_that_belongs_to_its_calls),
		cmocka_unit_test(who_replaces_one_of_its_calls_gets_there),
		cmocka_unit_test(who_rings_when_it_begins_is_answered),
		cmocka_unit_test(who_waits_for_a_name_is_counted),
		cmocka_unit_test(subscriptions_are_counted_apart),
		cmocka_unit_test(ages_and_durations),
		cmocka_unit_test(ages_outlive_a_node),
		cmocka_unit_test(stragglers_are_hung_up),
		cmocka_unit_test(who_still_rings_is_refused),
		cmocka_unit_test(who_is_hanging_up_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
