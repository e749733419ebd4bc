/* Fuzz: lines of REGISTER requests, and records of another node, in any order and number. What the node sends (a 400 apart) is SIP; what it keeps can be
 * exported, and the record is taken by an empty node, which exports the same; and everything expires. Input: pieces of {kind (1
 * byte), length (2 bytes, little-endian), bytes}; kind 0: a record, else the user (4 of them) and the lines of a REGISTER. */
#include "registrar/record.h"
#include "tests/flow/flow.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define YAML \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { method: REGISTER }, to: registrar }]\n" \
	"registrar: { example.com: { auth: none, max-contacts: 3, when-full: replace-oldest } }\n"

enum { PIECES_MAX = 32, RECORDS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wrong(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

static void on_sent(void *ctx, const struct packet *p)
{
	struct view_fault fault;
	struct view v;

	(void)ctx;
	if (!strncmp(p->bytes, "SIP/2.0 400", 11)) /* repeats what it refuses */
		return;
	if (view_scan(&v, p->bytes, p->len, true, &fault) || !v.status)
		wrong(p->bytes);
}

static void on_packet(void *ctx, const struct packet *p)
{
	(void)ctx, (void)p;
}

struct records {
	struct registrar_sink sink;
	struct sv of[RECORDS_MAX];
	unsigned n;
};

static void keep(struct registrar_sink *sink, uint64_t key, struct sv record)
{
	struct records *all = owner_of(sink, struct records, sink);
	char *copy = malloc(record.len);

	(void)key;
	if (!copy || all->n == RECORDS_MAX)
		abort();
	memcpy(copy, record.p, record.len);
	all->of[all->n++] = (struct sv){ copy, record.len };
}

static void records_free(struct records *all)
{
	while (all->n)
		free((char *)all->of[--all->n].p);
}

static void piece(struct rig *r, unsigned kind, struct sv bytes, unsigned n)
{
	static const char *const users[] = { "alice", "bob", "%61lice", "c%0d%0a" };
	char text[70000], *exact;
	const char *user = users[kind % 4];
	int len;

	if (kind == 0) {
		if (!(exact = malloc(bytes.len + 1)))
			abort();
		memcpy(exact, bytes.p, bytes.len);
		registrar_apply(r->workers[0].registrar, r->conf, (struct sv){ exact, bytes.len });
		free(exact);
		return;
	}
	len = snprintf(text, sizeof(text),
	               "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%u\r\nMax-Forwards: 70\r\n"
	               "From: <sip:%s@example.com>;tag=a\r\nTo: <sip:%s@example.com>\r\nCall-ID: %u\r\nCSeq: %u REGISTER\r\n",
	               n, user, user, kind >> 4, kind >> 2 & 3);
	memcpy(text + len, bytes.p, bytes.len);
	memcpy(text + len + bytes.len, "\r\nContent-Length: 0\r\n\r\n", 24);
	rig_send_bytes(r, &(struct addr){ .ip = { 192, 0, 2, 10 }, .port = 5060, .family = 4 }, 0, text, (size_t)len + bytes.len + 23);
	rig_after(r, 0);
}

/* What it holds is what another node would hold. */
static void check_records(struct rig *r)
{
	struct records first = { .sink = { keep } }, second = { .sink = { keep } };
	struct rig *other = rig_new(YAML, 1, 1);

	other->now_ms = r->now_ms;
	if (registrar_export(r->workers[0].registrar, r->conf, &first.sink))
		abort();
	for (unsigned i = 0; i < first.n; i++)
		if (registrar_apply(other->workers[0].registrar, other->conf, first.of[i]))
			wrong("an exported record is refused");
	if (registrar_export(other->workers[0].registrar, other->conf, &second.sink) || second.n != first.n)
		wrong("a record is lost");
	for (unsigned i = 0, k; i < first.n; i++) {
		for (k = 0; k < second.n && !sv_eq(first.of[i], second.of[k]); k++)
			;
		if (k == second.n)
			wrong("a record changes on its way");
	}
	records_free(&first);
	records_free(&second);
	rig_free(other, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig *r = rig_new(YAML, 1, 1);
	bool has_record = false;

	r->hooks = (struct rig_hooks){ .on_sent = on_sent, .on_packet = on_packet };
	for (unsigned n = 0; n < PIECES_MAX && size >= 3; n++) {
		size_t len = data[1] | (size_t)data[2] << 8;

		len = len < size - 3 ? len : size - 3;
		len = len < 60000 ? len : 60000;
		has_record |= data[0] == 0;
		piece(r, data[0], (struct sv){ (const char *)data + 3, len }, n);
		data += 3 + len;
		size -= 3 + len;
	}
	check_records(r);
	rig_after(r, 3601000);
	if (registrar_bindings(r->workers[0].registrar) && !has_record) /* those of records may last for days */
		wrong("a contact does not expire");
	rig_free(r, !has_record);
	return 0;
}
