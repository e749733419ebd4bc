/* Subscriptions: dialogs begun by SUBSCRIBE, by NOTIFY and by REFER (RFC 6665, RFC 3515), several usages in one dialog (RFC 5057), and
 * the methods that begin nothing. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ACTIVE "Event: presence\nSubscription-State: active;expires=3600\nContact: <sip:bob@10.0.0.21:5060>\n"
#define TERMINATED "Event: presence\nSubscription-State: terminated;reason=timeout\nContact: <sip:bob@10.0.0.21:5060>\n"
#define TRYING "Event: refer\nSubscription-State: active;expires=60\nContact: <sip:bob@10.0.0.21:5060>\nContent-Type: message/sipfrag\n"
#define DONE "Event: refer\nSubscription-State: terminated;reason=noresource\nContact: <sip:bob@10.0.0.21:5060>\n" \
	"Content-Type: message/sipfrag\n"

static void alice_begins(struct flow *f, const char *method, const char *extra)
{
	rig_say(f->rig, ALICE, EDGE, "",
	        "%s sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%s%u;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: alice-call@192.0.2.10\n"
	        "CSeq: %u %s\nContact: <sip:alice@192.0.2.10:5060>\n%s",
	        method, method, f->alice_cseq, f->alice_cseq, method, extra);
}

/* Bob gets what begins a dialog, and learns what he needs for it. */
static void expect_beginning(struct flow *f, const char *start)
{
	flow_expect_at_bob(f, start);
	assert_false(got_has(&f->at_bob, "192.0.2.10"));
	assert_false(got_has(&f->at_bob, "alice-call"));
	snprintf(f->far_from, sizeof(f->far_from), "%s", got_value(&f->at_bob, HDR_FROM));
	snprintf(f->far_to, sizeof(f->far_to), "%s;tag=%s", got_value(&f->at_bob, HDR_TO), f->bob_tag ? f->bob_tag : "bob");
	snprintf(f->far_call_id, sizeof(f->far_call_id), "%s", got_value(&f->at_bob, HDR_CALL_ID));
	snprintf(f->far_contact, sizeof(f->far_contact), "%s", got_contact(&f->at_bob));
}

static void subscribe_at(struct flow *f, const char *yaml, unsigned workers)
{
	flow_begin(f, yaml, workers, 1);
	alice_begins(f, "SUBSCRIBE", "Event: presence\nExpires: 3600\n");
	expect_beginning(f, "SUBSCRIBE sip:bob@example.com SIP/2.0");
}

static void subscribe(struct flow *f, unsigned workers)
{
	subscribe_at(f, FLOW_ONE, workers);
}

static void subscribed(struct flow *f, unsigned workers)
{
	subscribe(f, workers);
	flow_bob_answers(f, 200, "Expires: 3600\n", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
}

/* Bob notifies, Alice answers. */
static void notify(struct flow *f, const char *lines, unsigned status)
{
	char start[16];

	snprintf(start, sizeof(start), "SIP/2.0 %u", status);
	flow_bob_says(f, "NOTIFY", lines, "");
	flow_expect_at_alice(f, "NOTIFY sip:alice@192.0.2.10:5060 SIP/2.0");
	assert_false(got_has(&f->at_alice, "10.0.0."));
	flow_alice_answers(f, status, "", "");
	rig_expect(f->rig, f->bob, start, &f->at_bob);
}

static void refused_notify(struct flow *f, const char *lines)
{
	flow_bob_says(f, "NOTIFY", lines, "");
	rig_expect(f->rig, f->bob, "SIP/2.0 481", &f->at_bob);
	rig_expect_silence(f->rig, ALICE);
}

static void refresh(struct flow *f, const char *lines, const char *answer)
{
	flow_alice_says(f, "SUBSCRIBE", lines, "");
	flow_expect_at_bob(f, "SUBSCRIBE sip:bob@10.0.0.21:5060 SIP/2.0");
	assert_string_equal(got_value(&f->at_bob, HDR_CALL_ID), f->far_call_id);
	assert_string_equal(got_value(&f->at_bob, HDR_TO), f->far_to);
	flow_bob_answers(f, 200, answer, "");
	flow_expect_at_alice(f, "SIP/2.0 200");
}

/* Nothing is held, long before anything could have expired by itself. */
static void expect_nothing(struct flow *f)
{
	rig_after(f->rig, 70000);
	assert_int_equal(rig_in_use(f->rig), 0);
	assert_int_equal(rig_calls(f->rig), 0);
}

static uint64_t load_of_bob(struct flow *f)
{
	struct dest_info info;

	dest_info(f->rig->shared.pools, pools_slot(f->rig->shared.pools, f->rig->conf, 0), &info);
	return info.load;
}

/* LESSONS 9, 20. The whole life of a subscription, with any number of workers. */
static void a_whole_life(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		struct flow f;

		subscribed(&f, workers);
		assert_string_not_equal(f.near_contact, "sip:bob@10.0.0.21:5060");
		notify(&f, ACTIVE, 200);
		refresh(&f, "Event: presence\nExpires: 3600\n", "Expires: 1800\n");
		notify(&f, ACTIVE, 200);
		assert_int_equal(rig_calls(f.rig), 0);       /* it is no call: no shutdown waits for it, */
		assert_int_equal(load_of_bob(&f), 0);        /* and no drain */
		refresh(&f, "Event: presence\nExpires: 0\n", "Expires: 0\n");
		notify(&f, TERMINATED, 200);
		rig_after(f.rig, 10);
		refused_notify(&f, ACTIVE);
		assert_int_equal(f.rig->n_cdrs, 0);
		assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_STARTED), 1);
		assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_ENDED), 1);
		expect_nothing(&f);
		flow_end(&f);
	}
}

/* RFC 6665 §4.1.2.4: the NOTIFY overtakes the 200. */
static void notify_comes_first(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		struct flow f;
		char to[256];

		subscribe(&f, workers);
		struct got request = f.at_bob;

		f.at_bob = (struct got){ .packet = NULL };
		notify(&f, ACTIVE, 200);
		snprintf(to, sizeof(to), "%s", got_value(&f.at_alice, HDR_FROM));
		got_free(&f.at_bob);
		f.at_bob = request;
		flow_bob_answers(&f, 200, "Expires: 3600\n", "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		assert_string_equal(f.near_to, to); /* one dialog, whoever made it */
		assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_STARTED), 1);
		refresh(&f, "Event: presence\nExpires: 3600\n", "Expires: 3600\n");
		notify(&f, TERMINATED, 200);
		expect_nothing(&f);
		flow_end(&f);
	}
}

/* A NOTIFY that belongs to no SUBSCRIBE under way makes nothing: another event, no event, no Contact. */
static void notify_of_something_else(void **state)
{
	struct flow f;

	(void)state;
	subscribe(&f, 2);
	struct got request = f.at_bob;

	f.at_bob = (struct got){ .packet = NULL };
	refused_notify(&f, "Event: dialog\nSubscription-State: active\nContact: <sip:bob@10.0.0.21:5060>\n");
	refused_notify(&f, "Event: presence;id=1\nSubscription-State: active\nContact: <sip:bob@10.0.0.21:5060>\n");
	refused_notify(&f, "Subscription-State: active\nContact: <sip:bob@10.0.0.21:5060>\n");
	refused_notify(&f, "Event: presence\nSubscription-State: active\n");
	assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_STARTED), 0);
	got_free(&f.at_bob);
	f.at_bob = request;
	flow_bob_answers(&f, 403, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 403");
	refused_notify(&f, ACTIVE);
	flow_end(&f);
}

/* The SUBSCRIBE fails after all: what its NOTIFY made goes with it, and nobody else is asked. */
static void notify_and_then_a_refusal(void **state)
{
	struct flow f;

	(void)state;
	subscribe_at(&f, FLOW_TWO, 2);
	struct got request = f.at_bob;

	f.at_bob = (struct got){ .packet = NULL };
	notify(&f, ACTIVE, 200);
	got_free(&f.at_bob);
	f.at_bob = request;
	flow_bob_answers(&f, 503, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 500");
	rig_expect_silence(f.rig, CAROL);
	refused_notify(&f, ACTIVE);
	expect_nothing(&f);
	flow_end(&f);
}

/* LESSONS 8, RFC 6665 §4.4.1: the route set is NOTIFY's, whatever the 200 said; both ways are hidden. */
static void route_set_of_notify(void **state)
{
	struct flow f;

	(void)state;
	subscribe(&f, 2);
	flow_bob_answers(&f, 200, "Expires: 3600\nRecord-Route: <sip:10.0.0.31;lr>\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_false(got_has(&f.at_alice, "10.0.0."));
	notify(&f, ACTIVE "Record-Route: <sip:10.0.0.41;lr>, <sip:10.0.0.42;lr>\n", 200);
	flow_alice_says(&f, "SUBSCRIBE", "Event: presence\nExpires: 3600\n", "");
	f.bob = "10.0.0.41:5060";
	flow_expect_at_bob(&f, "SUBSCRIBE sip:bob@10.0.0.21:5060 SIP/2.0");
	assert_true(got_has(&f.at_bob, "Route: <sip:10.0.0.41;lr>, <sip:10.0.0.42;lr>\r\n"));
	assert_false(got_has(&f.at_bob, "10.0.0.31"));
	f.bob_contact = "<sip:bob@10.0.0.21:5060>";
	flow_bob_answers(&f, 200, "Expires: 3600\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	notify(&f, ACTIVE "Record-Route: <sip:10.0.0.43;lr>\n", 200); /* a route set does not change any more (§12.2) */
	flow_alice_says(&f, "SUBSCRIBE", "Event: presence\nExpires: 0\n", "");
	flow_expect_at_bob(&f, "SUBSCRIBE ");
	assert_false(got_has(&f.at_bob, "10.0.0.43"));
	flow_bob_answers(&f, 200, "Expires: 0\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	expect_nothing(&f); /* the last NOTIFY never came */
	flow_end(&f);
}

/* A 200 without Contact: until a NOTIFY brings one, it is where the SUBSCRIBE went. */
static void no_contact_in_the_answer(void **state)
{
	struct flow f;

	(void)state;
	subscribe(&f, 2);
	rig_say(f.rig, BOB, CORE, "", "SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s;tag=bob\nCall-ID: %s\nCSeq: 1 SUBSCRIBE\nExpires: 600\n",
	        got_value(&f.at_bob, HDR_VIA), got_value(&f.at_bob, HDR_FROM), got_value(&f.at_bob, HDR_TO), got_value(&f.at_bob, HDR_CALL_ID));
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_false(got_has(&f.at_alice, "Contact"));
	notify(&f, "Event: presence\nSubscription-State: active\n", 200);
	snprintf(f.near_contact, sizeof(f.near_contact), "sip:bob@example.com");
	flow_alice_says(&f, "SUBSCRIBE", "Event: presence\nExpires: 600\n", "");
	flow_expect_at_bob(&f, "SUBSCRIBE sip:10.0.0.21:5060 SIP/2.0");
	flow_bob_answers(&f, 200, "Expires: 600\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	refresh(&f, "Event: presence\nExpires: 600\n", "Expires: 600\n");
	notify(&f, TERMINATED, 200);
	expect_nothing(&f);
	flow_end(&f);
}

/* The same over TCP: the way there is a part of it. */
static void no_contact_in_the_answer_over_tcp(void **state)
{
	struct flow f;

	(void)state;
	subscribe_at(&f, FLOW_ZONES "pools: { apps: { zone: core, probe: off, "
	                            "destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060;transport=tcp\" }] } }\n" FLOW_ROUTES, 2);
	rig_say(f.rig, BOB, CORE_TCP, "", "SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s;tag=bob\nCall-ID: %s\nCSeq: 1 SUBSCRIBE\nExpires: 600\n",
	        got_value(&f.at_bob, HDR_VIA), got_value(&f.at_bob, HDR_FROM), got_value(&f.at_bob, HDR_TO), got_value(&f.at_bob, HDR_CALL_ID));
	flow_expect_at_alice(&f, "SIP/2.0 200");
	snprintf(f.near_contact, sizeof(f.near_contact), "sip:bob@example.com");
	flow_alice_says(&f, "SUBSCRIBE", "Event: presence\nExpires: 0\n", "");
	flow_expect_at_bob(&f, "SUBSCRIBE sip:10.0.0.21:5060;transport=tcp SIP/2.0");
	assert_true(got_has(&f.at_bob, "Via: SIP/2.0/TCP "));
	rig_say(f.rig, BOB, CORE_TCP, "", "SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: 2 SUBSCRIBE\nExpires: 0\n",
	        got_value(&f.at_bob, HDR_VIA), got_value(&f.at_bob, HDR_FROM), got_value(&f.at_bob, HDR_TO), got_value(&f.at_bob, HDR_CALL_ID));
	flow_expect_at_alice(&f, "SIP/2.0 200");
	expect_nothing(&f);
	flow_end(&f);
}

/* Nobody refreshes: it goes without a word, and what comes later gets 481. */
static void expires(void **state)
{
	struct flow f;

	(void)state;
	subscribe(&f, 2);
	flow_bob_answers(&f, 200, "Expires: 60\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_after(f.rig, 60000 + USAGE_GRACE_MS - 1);
	notify(&f, "Event: presence\nSubscription-State: active;expires=60\nContact: <sip:bob@10.0.0.21:5060>\n", 200); /* in time */
	rig_after(f.rig, 60000 + USAGE_GRACE_MS + 1);
	assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_EXPIRED), 1);
	assert_int_equal(rig_in_use(f.rig), 0);
	rig_expect_silence(f.rig, ALICE);
	rig_expect_silence(f.rig, BOB);
	refused_notify(&f, ACTIVE);
	flow_end(&f);
}

/* It would expire while its refresh is on its way: the answer decides. */
static void expires_during_a_refresh(void **state)
{
	(void)state;
	for (unsigned is_granted = 0; is_granted < 2; is_granted++) {
		struct flow f;

		subscribe(&f, 2);
		flow_bob_answers(&f, 200, "Expires: 60\n", "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		rig_after(f.rig, 60000 + USAGE_GRACE_MS - 100);
		flow_alice_says(&f, "SUBSCRIBE", "Event: presence\nExpires: 60\n", "");
		flow_expect_at_bob(&f, "SUBSCRIBE ");
		rig_after(f.rig, 400);
		flow_bob_answers(&f, is_granted ? 200 : 503, is_granted ? "Expires: 60\n" : "", "");
		flow_expect_at_alice(&f, is_granted ? "SIP/2.0 200" : "SIP/2.0 503");
		rig_after(f.rig, 10);
		if (is_granted)
			notify(&f, TERMINATED, 200);
		else
			refused_notify(&f, ACTIVE);
		expect_nothing(&f);
		flow_end(&f);
	}
}

/* LESSONS 19: weeks, a refresh before each end; what is held does not grow. */
static void for_weeks(void **state)
{
	struct flow f;
	size_t held;

	(void)state;
	subscribed(&f, 2);
	notify(&f, ACTIVE, 200);
	rig_after(f.rig, 40000);
	held = rig_in_use(f.rig);
	for (unsigned hour = 0; hour < 24 * 21; hour++) {
		rig_after(f.rig, 3600000 - 60000);
		refresh(&f, "Event: presence\nExpires: 3600\n", "Expires: 3600\n");
		if (hour % 7 == 0)
			notify(&f, ACTIVE, 200);
	}
	rig_after(f.rig, 40000);
	assert_int_equal(rig_in_use(f.rig), held);
	notify(&f, ACTIVE, 200);
	notify(&f, TERMINATED, 200);
	expect_nothing(&f);
	flow_end(&f);
}

/* RFC 6665 §4.4.4: one SUBSCRIBE, several notifiers; each has its dialog and its own end. */
static void forked(void **state)
{
	struct flow f, other;

	(void)state;
	subscribed(&f, 8);
	notify(&f, ACTIVE, 200);
	rig_after(f.rig, SIP_TIMEOUT / 2);
	other = f;
	other.at_alice = other.at_bob = (struct got){ .packet = NULL };
	snprintf(other.far_to, sizeof(other.far_to), "<sip:bob@example.com>;tag=carol");
	notify(&other, ACTIVE, 200);
	snprintf(other.near_to, sizeof(other.near_to), "%s", got_value(&other.at_alice, HDR_FROM));
	assert_string_not_equal(other.near_to, f.near_to);
	assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_STARTED), 2);
	refresh(&other, "Event: presence\nExpires: 3600\n", "Expires: 3600\n");
	notify(&other, TERMINATED, 200);
	f.alice_cseq = other.alice_cseq;
	refresh(&f, "Event: presence\nExpires: 3600\n", "Expires: 3600\n");
	rig_after(f.rig, SIP_TIMEOUT); /* timer N has fired */
	refused_notify(&other, ACTIVE);
	snprintf(other.far_to, sizeof(other.far_to), "<sip:bob@example.com>;tag=dave");
	refused_notify(&other, ACTIVE);
	notify(&f, TERMINATED, 200);
	expect_nothing(&f);
	got_free(&other.at_alice);
	got_free(&other.at_bob);
	flow_end(&f);
}

/* RFC 5057 §5.1: what an answer to NOTIFY ends. */
static void answers_that_end_it(void **state)
{
	static const struct {
		unsigned status;
		bool ends;
	} answers[] = { { 481, true }, { 489, true }, { 404, true }, { 405, true }, { 501, true }, { 604, true }, { 400, false },
		        { 500, false }, { 401, false }, { 603, false }, { 503, false } };

	(void)state;
	for (unsigned i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct flow f;

		subscribed(&f, 2);
		notify(&f, ACTIVE, answers[i].status);
		rig_after(f.rig, 10);
		if (answers[i].ends)
			refused_notify(&f, ACTIVE);
		else
			notify(&f, TERMINATED, 200);
		expect_nothing(&f);
		flow_end(&f);
	}
}

/* The notifier has forgotten it. */
static void refresh_is_refused(void **state)
{
	struct flow f;

	(void)state;
	subscribed(&f, 2);
	flow_alice_says(&f, "SUBSCRIBE", "Event: presence\nExpires: 3600\n", "");
	flow_expect_at_bob(&f, "SUBSCRIBE ");
	flow_bob_answers(&f, 481, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 481");
	expect_nothing(&f);
	flow_end(&f);
}

/* Nobody answers the NOTIFY: Bob hears 408, and it is over (RFC 6665 §4.2.2). */
static void nobody_answers_the_notify(void **state)
{
	struct flow f;

	(void)state;
	subscribed(&f, 2);
	flow_bob_says(&f, "NOTIFY", ACTIVE, "");
	rig_after(f.rig, SIP_TIMEOUT);
	rig_forget(f.rig, ALICE);
	rig_expect(f.rig, BOB, "SIP/2.0 408", &f.at_bob);
	expect_nothing(&f);
	flow_end(&f);
}

/* A terminated subscription whose NOTIFY was challenged is told once more. */
static void last_notify_is_challenged(void **state)
{
	struct flow f;

	(void)state;
	subscribed(&f, 2);
	notify(&f, TERMINATED, 401);
	rig_after(f.rig, 1000);
	notify(&f, TERMINATED "Authorization: Digest username=\"bob\"\n", 200);
	expect_nothing(&f);
	flow_end(&f);
}

/* A phone that forgot its dialog subscribes again as if it were new, with the same Call-ID: both live, each with its own NOTIFYs. */
static void subscribes_again_without_a_tag(void **state)
{
	struct flow f, again;

	(void)state;
	subscribed(&f, 2);
	again = f;
	again.at_alice = again.at_bob = (struct got){ .packet = NULL };
	rig_after(f.rig, 60000);
	again.alice_cseq = 50;
	again.bob_cseq = 500;
	again.bob_tag = "bob2";
	alice_begins(&again, "SUBSCRIBE", "Event: presence\nExpires: 3600\n");
	expect_beginning(&again, "SUBSCRIBE sip:bob@example.com SIP/2.0");
	flow_bob_answers(&again, 200, "Expires: 3600\n", "");
	flow_expect_at_alice(&again, "SIP/2.0 200");
	notify(&f, ACTIVE, 200);
	notify(&again, ACTIVE, 200);
	refresh(&again, "Event: presence\nExpires: 3600\n", "Expires: 3600\n");
	notify(&f, TERMINATED, 200);
	rig_after(f.rig, 10);
	notify(&again, TERMINATED, 200);
	expect_nothing(&f);
	got_free(&again.at_alice);
	got_free(&again.at_bob);
	flow_end(&f);
}

/* Methods that need a session have none in a subscription's dialog. */
static void no_session(void **state)
{
	static const char *const methods[] = { "BYE", "INVITE", "UPDATE", "INFO", "PRACK" };
	struct flow f;

	(void)state;
	subscribed(&f, 2);
	for (unsigned i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		flow_alice_says(&f, methods[i], "", "");
		flow_expect_at_alice(&f, "SIP/2.0 481");
		flow_bob_says(&f, methods[i], "", "");
		rig_expect(f.rig, BOB, "SIP/2.0 481", &f.at_bob);
	}
	notify(&f, TERMINATED, 200);
	expect_nothing(&f);
	flow_end(&f);
}

/* Several usages --------------------------------------------------------------------------------------------------- */

static void bye(struct flow *f)
{
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
}

static void refer(struct flow *f, const char *answer)
{
	flow_alice_says(f, "REFER", "Refer-To: <sip:carol@example.com>\nContact: <sip:alice@192.0.2.10:5060>\n", "");
	flow_expect_at_bob(f, "REFER sip:bob@10.0.0.21:5060 SIP/2.0");
	flow_bob_answers(f, 202, answer, "");
	flow_expect_at_alice(f, "SIP/2.0 202");
}

/* LESSONS 4, 15: REFER, BYE, and then the NOTIFYs; the call is over and written down at the BYE. */
static void notify_after_bye_of_a_refer(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		struct flow f;

		flow_answered(&f, FLOW_ONE, workers, 1);
		refer(&f, "");
		notify(&f, TRYING, 200);
		assert_int_equal(load_of_bob(&f), 1);
		bye(&f);
		assert_int_equal(f.rig->n_cdrs, 1);
		assert_int_equal(rig_calls(f.rig), 0);
		assert_int_equal(load_of_bob(&f), 0);
		notify(&f, TRYING, 200);
		flow_alice_says(&f, "BYE", "", ""); /* again: the session is entombed */
		flow_expect_at_alice(&f, "SIP/2.0 200");
		flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
		flow_expect_at_alice(&f, "SIP/2.0 481");
		notify(&f, DONE, 200);
		rig_after(f.rig, 10);
		refused_notify(&f, DONE);
		assert_int_equal(f.rig->n_cdrs, 1);
		expect_nothing(&f);
		flow_end(&f);
	}
}

/* A REFER whose recipient never says how it went: three minutes, no longer. */
static void refer_without_notify(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	refer(&f, "");
	bye(&f);
	rig_after(f.rig, USAGE_REFER_MS - 1000);
	notify(&f, "Event: refer\nSubscription-State: active\nContact: <sip:bob@10.0.0.21:5060>\n", 200);
	rig_after(f.rig, USAGE_REFER_MS - 1000);
	notify(&f, "Event: refer\nSubscription-State: active\nContact: <sip:bob@10.0.0.21:5060>\n", 200);
	rig_after(f.rig, USAGE_REFER_MS + 1);
	assert_int_equal(rig_in_use(f.rig), 0);
	flow_end(&f);
}

/* What kept the session alive ends with it: nobody is asked for it any more while the subscription goes on. */
static void no_session_timer_after_the_bye(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_alice_calls(&f, "Supported: timer\nSession-Expires: 90;refresher=uas\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 200, "Require: timer\nSession-Expires: 90;refresher=uas\nContent-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	refer(&f, "");
	notify(&f, "Event: refer\nSubscription-State: active;expires=1200\nContact: <sip:bob@10.0.0.21:5060>\n", 200);
	bye(&f);
	rig_after(f.rig, 1200000);
	rig_expect_silence(f.rig, ALICE);
	rig_expect_silence(f.rig, BOB);
	notify(&f, DONE, 200);
	expect_nothing(&f);
	flow_end(&f);
}

/* RFC 4488: no subscription, so the call goes with its BYE. A refused REFER leaves none either. */
static void refer_without_subscription(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	refer(&f, "Refer-Sub: false\n");
	flow_alice_says(&f, "REFER", "Refer-To: <sip:carol@example.com>\n", "");
	flow_expect_at_bob(&f, "REFER ");
	flow_bob_answers(&f, 603, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 603");
	rig_after(f.rig, 10);
	bye(&f);
	refused_notify(&f, TRYING);
	flow_end(&f);
}

/* RFC 7614: it says so itself. */
static void refer_that_wants_no_subscription(void **state)
{
	static const char *const options[] = { "nosub", "explicitsub" };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct flow f;
		char lines[128];

		snprintf(lines, sizeof(lines), "Refer-To: <sip:carol@example.com>\nRequire: %s\n", options[i]);
		flow_answered(&f, FLOW_ONE, 2, 1);
		flow_alice_says(&f, "REFER", lines, "");
		flow_expect_at_bob(&f, "REFER ");
		flow_bob_answers(&f, 200, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		bye(&f);
		refused_notify(&f, TRYING);
		flow_end(&f);
		flow_begin(&f, FLOW_ONE, 2, 1);
		alice_begins(&f, "REFER", lines);
		expect_beginning(&f, "REFER ");
		flow_bob_answers(&f, 200, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		refused_notify(&f, TRYING);
		assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_STARTED), 0);
		flow_end(&f);
	}
}

/* RFC 3515 §2.4.6: the id of its event is the REFER's CSeq number, and each side has its own. */
static void event_ids_of_refers(void **state)
{
	struct flow f;
	char lines[256], id[32];

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	flow_bob_says(&f, "INFO", "", ""); /* so that numbers differ */
	flow_expect_at_alice(&f, "INFO ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	f.alice_cseq += 40;
	refer(&f, "");
	refer(&f, "");
	assert_int_equal(f.alice_cseq, 43);
	assert_string_equal(got_value(&f.at_bob, HDR_CSEQ), "3 REFER");
	snprintf(id, sizeof(id), "Event: refer;id=43\r\n");
	snprintf(lines, sizeof(lines), "Event: refer;id=3;x=y\nSubscription-State: active;expires=60\nContact: <sip:bob@10.0.0.21:5060>\n");
	flow_bob_says(&f, "NOTIFY", lines, "");
	flow_expect_at_alice(&f, "NOTIFY ");
	assert_true(got_has(&f.at_alice, "Event: refer;id=43;x=y\r\n"));
	assert_false(got_has(&f.at_alice, "id=3"));
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_alice_says(&f, "SUBSCRIBE", "Event: refer;id=42\nExpires: 0\n", "");
	flow_expect_at_bob(&f, "SUBSCRIBE ");
	assert_true(got_has(&f.at_bob, "Event: refer;id=2\r\n"));
	flow_bob_answers(&f, 200, "Expires: 0\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_STARTED), 2);
	bye(&f);
	rig_after(f.rig, 60000 + USAGE_GRACE_MS);
	assert_int_equal(rig_in_use(f.rig), 0);
	flow_end(&f);
}

/* One dialog, a session and two subscriptions, one in each direction: each ends by itself, the last one ends the dialog. */
static void several_usages(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	refresh(&f, "Event: dialog\nExpires: 3600\n", "Expires: 3600\n");
	flow_bob_says(&f, "SUBSCRIBE", "Event: kpml\nExpires: 7200\nContact: <sip:bob@10.0.0.21:5060>\n", "");
	flow_expect_at_alice(&f, "SUBSCRIBE ");
	flow_alice_answers(&f, 200, "Expires: 7200\n", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_STARTED), 2);
	notify(&f, "Event: dialog\nSubscription-State: active\nContact: <sip:bob@10.0.0.21:5060>\n", 481); /* this one alone */
	rig_after(f.rig, 10);
	assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_ENDED), 1);
	assert_int_equal(rig_calls(f.rig), 1);
	bye(&f);
	rig_after(f.rig, 40000);
	flow_alice_says(&f, "NOTIFY", "Event: kpml\nSubscription-State: active\nContact: <sip:alice@192.0.2.10:5060>\n", "");
	flow_expect_at_bob(&f, "NOTIFY sip:bob@10.0.0.21:5060 SIP/2.0");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_alice_says(&f, "MESSAGE", "", "");
	flow_expect_at_bob(&f, "MESSAGE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_alice_says(&f, "NOTIFY", "Event: kpml\nSubscription-State: terminated\nContact: <sip:alice@192.0.2.10:5060>\n", "");
	flow_expect_at_bob(&f, "NOTIFY ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	expect_nothing(&f);
	flow_end(&f);
}

/* A call has room for so many; the next is refused, and it goes on. */
static void too_many(void **state)
{
	struct flow f;
	char lines[64];

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	for (unsigned i = 0; i < USAGES_PER_CALL_MAX; i++) {
		snprintf(lines, sizeof(lines), "Event: dialog;id=%u\nExpires: 600\n", i);
		refresh(&f, lines, "Expires: 600\n");
	}
	flow_alice_says(&f, "SUBSCRIBE", "Event: dialog;id=x\nExpires: 600\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 503");
	rig_expect_silence(f.rig, BOB);
	assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_REFUSED), 1);
	refresh(&f, "Event: dialog;id=1\nExpires: 600\n", "Expires: 600\n"); /* it is known */
	bye(&f);
	flow_end(&f);
}

static void another_begins(struct flow *f, const char *method, unsigned number)
{
	rig_say(f->rig, ALICE, EDGE, "",
	        "%s sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKmore%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=more\nTo: <sip:bob@example.com>\nCall-ID: more-%u\nCSeq: 1 %s\n"
	        "Contact: <sip:alice@192.0.2.10:5060>\nEvent: presence\nExpires: 600\n",
	        method, number, number, method);
}

/* Subscriptions do not take the calls' room, nor calls theirs. */
static void room_for_calls_and_for_subscriptions(void **state)
{
	struct flow f;

	(void)state;
	subscribe_at(&f, "limits: { calls: 2 }\n" FLOW_ONE, 1);
	flow_bob_answers(&f, 200, "Expires: 600\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	for (unsigned i = 3; i < 5; i++) {
		another_begins(&f, "INVITE", i);
		flow_expect_at_alice(&f, "SIP/2.0 100");
		rig_expect(f.rig, BOB, "INVITE ", &f.at_bob);
		flow_bob_answers(&f, 200, "", SDP);
		flow_expect_at_alice(&f, "SIP/2.0 200");
	}
	assert_int_equal(rig_calls(f.rig), 2);
	another_begins(&f, "INVITE", 5);
	flow_expect_at_alice(&f, "SIP/2.0 503");
	another_begins(&f, "SUBSCRIBE", 1);
	rig_expect(f.rig, BOB, "SUBSCRIBE ", &f.at_bob);
	flow_bob_answers(&f, 200, "Expires: 600\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	another_begins(&f, "SUBSCRIBE", 2);
	flow_expect_at_alice(&f, "SIP/2.0 503");
	assert_int_equal(rig_count(f.rig, SUBSCRIPTIONS_REFUSED), 1);
	rig_after(f.rig, 640000);
	rig_forget(f.rig, BOB);
	rig_forget(f.rig, ALICE);
	assert_int_equal(rig_in_use(f.rig), 0);
	another_begins(&f, "SUBSCRIBE", 6);
	rig_expect(f.rig, BOB, "SUBSCRIBE ", &f.at_bob);
	flow_bob_answers(&f, 404, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 404");
	flow_end(&f);
}

/* BYE and NOTIFY cross: neither harms the other. */
static void bye_and_notify_cross(void **state)
{
	struct flow f;
	struct got bye_at_bob = { .packet = NULL };

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	refer(&f, "");
	flow_alice_says(&f, "BYE", "", "");
	rig_expect(f.rig, BOB, "BYE ", &bye_at_bob);
	flow_bob_says(&f, "NOTIFY", DONE, "");
	flow_expect_at_alice(&f, "NOTIFY ");
	got_free(&f.at_bob);
	f.at_bob = bye_at_bob;
	flow_bob_answers(&f, 200, "", "");
	struct got notify_at_alice = f.at_alice;

	f.at_alice = (struct got){ .packet = NULL };
	flow_expect_at_alice(&f, "SIP/2.0 200");
	got_free(&f.at_alice);
	f.at_alice = notify_at_alice;
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	assert_string_equal(got_value(&f.at_bob, HDR_CSEQ), "101 NOTIFY");
	assert_int_equal(f.rig->n_cdrs, 1);
	expect_nothing(&f);
	flow_end(&f);
}

/* RFC 3515: a REFER of its own begins a dialog as SUBSCRIBE does. */
static void refer_out_of_dialog(void **state)
{
	struct flow f;

	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		flow_begin(&f, FLOW_ONE, workers, 1);
		alice_begins(&f, "REFER", "Refer-To: <sip:carol@example.com>\n");
		expect_beginning(&f, "REFER sip:bob@example.com SIP/2.0");
		flow_bob_answers(&f, 202, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 202");
		notify(&f, TRYING, 200);
		notify(&f, DONE, 200);
		rig_after(f.rig, 10);
		refused_notify(&f, DONE);
		assert_int_equal(f.rig->n_cdrs, 0);
		flow_end(&f);
	}
	flow_begin(&f, FLOW_ONE, 1, 1);
	alice_begins(&f, "REFER", "Refer-To: <sip:carol@example.com>\nRefer-Sub: false\n");
	expect_beginning(&f, "REFER sip:bob@example.com SIP/2.0");
	flow_bob_answers(&f, 202, "Refer-Sub: false\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 202");
	refused_notify(&f, TRYING);
	flow_end(&f);
}

static void see(void *ctx, const struct call_info *info)
{
	*(uint64_t *)ctx = info->id;
}

/* The operator's hang-up leaves nothing. What is only a subscription is no call to him. */
static void hung_up_by_the_operator(void **state)
{
	uint64_t id = 0;
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	refer(&f, "");
	b2bua_each(f.rig->workers[0].calls, see, &id);
	assert_true(b2bua_hangup(f.rig->workers[0].calls, id, "test"));
	assert_int_equal(rig_calls(f.rig), 0);
	flow_expect_at_alice(&f, "BYE ");
	flow_expect_at_bob(&f, "BYE ");
	refused_notify(&f, TRYING);
	flow_end(&f);
	flow_answered(&f, FLOW_ONE, 1, 1);
	b2bua_each(f.rig->workers[0].calls, see, &id);
	refer(&f, "");
	bye(&f);
	assert_true(b2bua_hangup(f.rig->workers[0].calls, id, "test")); /* who still knows it: it is written down once */
	refused_notify(&f, TRYING);
	assert_int_equal(f.rig->n_cdrs, 1);
	flow_end(&f);
	subscribed(&f, 1);
	id = 0;
	b2bua_each(f.rig->workers[0].calls, see, &id);
	assert_int_equal(id, 0);
	notify(&f, TERMINATED, 200);
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_life),
		cmocka_unit_test(notify_comes_first),
		cmocka_unit_test(notify_of_something_else),
		cmocka_unit_test(notify_and_then_a_refusal),
		cmocka_unit_test(route_set_of_notify),
		cmocka_unit_test(no_contact_in_the_answer),
		cmocka_unit_test(no_contact_in_the_answer_over_tcp),
		cmocka_unit_test(expires),
		cmocka_unit_test(expires_during_a_refresh),
		cmocka_unit_test(for_weeks),
		cmocka_unit_test(forked),
		cmocka_unit_test(answers_that_end_it),
		cmocka_unit_test(refresh_is_refused),
		cmocka_unit_test(nobody_answers_the_notify),
		cmocka_unit_test(last_notify_is_challenged),
		cmocka_unit_test(subscribes_again_without_a_tag),
		cmocka_unit_test(no_session),
		cmocka_unit_test(notify_after_bye_of_a_refer),
		cmocka_unit_test(refer_without_notify),
		cmocka_unit_test(no_session_timer_after_the_bye),
		cmocka_unit_test(refer_without_subscription),
		cmocka_unit_test(refer_that_wants_no_subscription),
		cmocka_unit_test(event_ids_of_refers),
		cmocka_unit_test(several_usages),
		cmocka_unit_test(too_many),
		cmocka_unit_test(room_for_calls_and_for_subscriptions),
		cmocka_unit_test(bye_and_notify_cross),
		cmocka_unit_test(refer_out_of_dialog),
		cmocka_unit_test(hung_up_by_the_operator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
