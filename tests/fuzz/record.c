/* Fuzz: a record of a call as another node would send it, changed in any way, is applied to an empty node; then come the messages of that
 * call. A record that is refused leaves nothing and says nothing; whatever is applied, what the node sends is sound, and the call ends.
 * Mutations keep the record's shape most of the time (fields within fields). `SBC_WRITE=DIR fuzz-record` writes the corpus. */
#include "base/tlv.h"
#include "tests/flow/home.h"
#include "tests/fuzz/scene.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* The calls as they were on the first node: what their ends know of it. */
static struct scene_call calls[SCENE_CALLS];
static bool is_ready;

struct sink {
	struct b2bua_record_sink sink;
	const char *dir;
	unsigned n;
};

static void put_file(struct b2bua_record_sink *sink, uint64_t id, struct sv record)
{
	struct sink *s = owner_of(sink, struct sink, sink);
	char path[512];
	FILE *f;

	(void)id;
	if (!s->dir)
		return;
	snprintf(path, sizeof(path), "%s/call-%u", s->dir, s->n++);
	if ((f = fopen(path, "w"))) {
		fwrite(record.p, 1, record.len, f);
		fclose(f);
	}
}

/* A call that rings at two phones of the one called, while a third waits for its turn. */
static void put_fork(struct sink *sink)
{
	static const struct { const char *name, *at, *params; } homes[] = { { "desk", DESK, "" }, { "mobile", MOBILE, "" },
		                                                            { "tablet", TABLET, ";q=0.2" } };
	struct rig *r = rig_new(HOME, 1, 1);
	struct phone alice, phone;

	for (unsigned i = 0; i < 3; i++) {
		phone_new(&phone, r, homes[i].name, homes[i].at);
		home_registers(&phone, "bob", homes[i].params, "");
	}
	phone_new(&alice, r, "alice", ALICE);
	phone_calls(&alice, "sip:bob@example.com", "", OFFER);
	for (unsigned i = 0; i < 2; i++) {
		phone_new(&phone, r, homes[i].name, homes[i].at);
		phone_gets(&phone, "INVITE ");
		phone_answers(&phone, 183, "", ANSWER);
		phone_free(&phone);
	}
	rig_after(r, 0);
	b2bua_export(r->workers[0].calls, &sink->sink);
	rig_free(r, false);
}

static void get_ready(void)
{
	struct sink sink = { .sink = { put_file }, .dir = getenv("SBC_WRITE") };
	struct b2bua *b;
	struct scene s;

	scene_begin(&s, 1);
	b = s.rig->workers[0].calls;
	scene_call(&s, 0, SCENE_ANSWERED);
	scene_call(&s, 1, SCENE_RINGING);
	scene_call(&s, 2, SCENE_SETUP);
	b2bua_export(b, &sink.sink);
	memcpy(calls, s.call, sizeof(calls));
	scene_say(&s, BOB, CORE,
	          "SIP/2.0 200 Fine\nVia: %s\nFrom: <sip:alice@example.com>;tag=%s\nTo: <sip:call1@example.com>;tag=fartag1\n"
	          "Call-ID: %s\nCSeq: %u INVITE\nContact: <sip:bob@10.0.0.21:5060>\nContent-Length: 0\n\n",
	          calls[1].via[1], calls[1].far_tag, calls[1].far_call_id, calls[1].cseq[1]);
	b2bua_export(b, &sink.sink);
	scene_end(&s);
	is_ready = true;
	if (!sink.dir)
		return;
	put_fork(&sink);
	_exit(0);
}

/* Everything that either end may say now. */
static void near_says(struct scene *s, unsigned n, const char *method, unsigned cseq)
{
	const struct scene_call *c = &calls[n];

	scene_say(s, ALICE, EDGE,
	          "%s sip:%s@203.0.113.10 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%s%u\nMax-Forwards: 70\n"
	          "From: <sip:alice@example.com>;tag=neartag%u\nTo: <sip:call%u@example.com>;tag=%s\nCall-ID: nearcall%u\nCSeq: %u %s\n"
	          "Contact: <sip:alice@192.0.2.10>\nContent-Length: 0\n\n",
	          method, c->near_contact, method, cseq, n, n, c->near_tag, n, cseq, method);
}

static void far_says(struct scene *s, unsigned n, const char *method, unsigned cseq)
{
	const struct scene_call *c = &calls[n];

	scene_say(s, BOB, CORE,
	          "%s sip:%s@10.0.0.10 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bK%s%u\nMax-Forwards: 70\n"
	          "From: <sip:call%u@example.com>;tag=fartag%u\nTo: <sip:alice@example.com>;tag=%s\nCall-ID: %s\nCSeq: %u %s\n"
	          "Contact: <sip:bob@10.0.0.21>\nContent-Length: 0\n\n",
	          method, c->far_contact, method, cseq, n, n, c->far_tag, c->far_call_id, cseq, method);
}

static void far_answers(struct scene *s, unsigned n, unsigned status)
{
	const struct scene_call *c = &calls[n];

	scene_say(s, BOB, CORE,
	          "SIP/2.0 %u Fine\nVia: %s\nFrom: <sip:alice@example.com>;tag=%s\nTo: <sip:call%u@example.com>;tag=fartag%u\n"
	          "Call-ID: %s\nCSeq: %u INVITE\nContact: <sip:bob@10.0.0.21:5060>\nContent-Length: 0\n\n",
	          status, c->via[1], c->far_tag, n, n, c->far_call_id, c->cseq[1]);
}

static void traffic(struct scene *s)
{
	for (unsigned n = 0; n < SCENE_CALLS; n++) {
		far_answers(s, n, 183);
		near_says(s, n, "INFO", 2);
		far_answers(s, n, n == 2 ? 486 : 200);
		near_says(s, n, "ACK", 1);
		far_says(s, n, "INFO", 10);
		near_says(s, n, "INVITE", 3);
		rig_after(s->rig, 700);
		far_says(s, n, "BYE", 11);
		near_says(s, n, "BYE", 4);
	}
	rig_after(s->rig, 40000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv record = { (const char *)data, size };
	struct scene s;
	struct b2bua *b;

	if (!is_ready)
		get_ready();
	scene_begin(&s, 1);
	s.known = UINT32_MAX; /* a record may say anything */
	b = s.rig->workers[0].calls;
	b2bua_record_shard(record);
	if (b2bua_apply(b, record)) {
		if (rig_calls(s.rig) || rig_in_use(s.rig) || s.rig->sent)
			scene_wrong("a refused record left something", "", 0);
		rig_free(s.rig, true);
		return 0;
	}
	traffic(&s);
	scene_end(&s);
	return 0;
}

/* Mutations -------------------------------------------------------------------------------------------------------- */

enum { DEPTH_MAX = 3, FIELDS_MAX = 64 };

/* Does field `number` of this level hold fields? (record.c) */
static bool holds_fields(unsigned depth, uint8_t parent, uint8_t number)
{
	if (depth == 0)
		return (number >= 6 && number <= 10) || number == 14 || number == 15 || number == 19 || number == 20;
	return depth == 1 && ((parent == 9 && (number == 7 || number == 8)) || (parent == 10 && number <= 2) || (parent == 15 && number == 1) ||
	                      (parent == 20 && (number == 25 || number == 26)));
}

static uint64_t dice;

static unsigned roll(unsigned n)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(dice >> 33) % n;
}

static void put_mutated(struct tlv_out *o, uint8_t number, struct sv bytes)
{
	static uint8_t room[70000];
	size_t len = bytes.len < 60000 ? bytes.len : 60000;

	memcpy(room, bytes.p, len);
	if (roll(4))
		len = LLVMFuzzerMutate(room, len, len + 64);
	tlv_put(o, number, (struct sv){ (char *)room, len });
}

/* Copies one level, with something done to one of its fields or to what is inside of it. */
static void mutate_level(struct tlv_out *o, struct sv level, unsigned depth, uint8_t parent)
{
	struct { uint8_t number; struct sv bytes; } f[FIELDS_MAX];
	unsigned n = 0, chosen;

	while (n < FIELDS_MAX && tlv_next(&level, &f[n].number, &f[n].bytes) == 0)
		n++;
	chosen = n ? roll(n) : 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned what = i == chosen ? roll(16) : 16;

		if (what == 0)
			continue; /* left out */
		if (what == 1)
			tlv_put(o, f[i].number, f[i].bytes); /* twice */
		if (what == 2)
			f[i].number = (uint8_t)roll(29);
		if (what < 16 && what > 2 && holds_fields(depth, parent, f[i].number) && depth + 1 < DEPTH_MAX) {
			size_t place = tlv_begin(o, f[i].number);

			mutate_level(o, f[i].bytes, depth + 1, f[i].number);
			tlv_end(o, place);
		} else if (what < 16) {
			put_mutated(o, f[i].number, f[i].bytes);
		} else {
			tlv_put(o, f[i].number, f[i].bytes);
		}
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	static char area[1 << 17];
	struct tlv_out o;

	dice = seed;
	if (roll(10) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	tlv_init(&o, area, sizeof(area));
	mutate_level(&o, (struct sv){ (char *)data, size }, 0, 0);
	if (o.is_full || o.len > max_size || !o.len)
		return LLVMFuzzerMutate(data, size, max_size);
	memcpy(data, area, o.len);
	return o.len;
}
