/* tests/unit/base/mailbox.c */
#include "tests/unit/base/oom.h"
#include "base/mailbox.c"
#include "base/list.h"
#include "tests/unit/base/unit.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>

enum { SENDERS = 4, EACH = 40000, BATCH = 64 };

struct letter {
	struct mail mail;
	unsigned sender, number;
};

struct reader {
	unsigned expected[SENDERS]; /* number of the next letter of each */
	unsigned seen, out_of_order;
};

static void on_letter(struct mail *m, void *ctx)
{
	struct letter *letter = (struct letter *)m;
	struct reader *reader = ctx;

	reader->out_of_order += letter->number != reader->expected[letter->sender];
	reader->expected[letter->sender] = letter->number + 1;
	reader->seen++;
}

static bool is_readable(const struct mailbox *mb)
{
	struct pollfd p = { .fd = mailbox_fd(mb), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void write_letters(struct letter *letters, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		letters[i] = (struct letter){ .mail.deliver = on_letter, .number = i };
}

static void last_quarter_is_for_urgent_mail(void **state)
{
	struct letter letters[20];
	struct reader reader = { 0 };
	struct mailbox *mb;

	(void)state;
	write_letters(letters, COUNT_OF(letters));
	assert_int_equal(mailbox_new(&mb, 9), 0); /* becomes 16 */
	for (int i = 0; i < 12; i++)
		assert_int_equal(mailbox_post(mb, &letters[i].mail, false), 0);
	assert_int_equal(mailbox_post(mb, &letters[12].mail, false), -ENOBUFS);
	for (int i = 12; i < 16; i++)
		assert_int_equal(mailbox_post(mb, &letters[i].mail, true), 0);
	assert_int_equal(mailbox_post(mb, &letters[16].mail, true), -ENOBUFS);
	assert_int_equal(mailbox_refused(mb), 2);
	assert_int_equal(mailbox_drain(mb, &reader, 5), 5);
	assert_int_equal(mailbox_post(mb, &letters[16].mail, false), 0);
	assert_int_equal(mailbox_post(mb, &letters[17].mail, false), -ENOBUFS);
	assert_int_equal(mailbox_drain(mb, &reader, 100), 12);
	assert_int_equal(reader.out_of_order, 0);
	assert_int_equal(reader.seen, 17);
	mailbox_free(mb);
}

static void one_wake_per_batch(void **state)
{
	struct letter letters[10];
	struct reader reader = { 0 };
	struct mailbox *mb;
	uint64_t writes;

	(void)state;
	write_letters(letters, COUNT_OF(letters));
	assert_int_equal(mailbox_new(&mb, 16), 0);
	assert_false(is_readable(mb));
	for (int i = 0; i < 5; i++)
		assert_int_equal(mailbox_post(mb, &letters[i].mail, false), 0);
	assert_int_equal(read(mailbox_fd(mb), &writes, sizeof(writes)), sizeof(writes));
	assert_int_equal(writes, 1);
	mailbox_ack(mb);
	assert_int_equal(mailbox_drain(mb, &reader, 100), 5);
	assert_false(is_readable(mb));
	assert_int_equal(mailbox_post(mb, &letters[5].mail, false), 0); /* the reader has acked since */
	assert_true(is_readable(mb));
	mailbox_ack(mb);
	assert_false(is_readable(mb));
	assert_int_equal(mailbox_drain(mb, &reader, 100), 1);
	assert_int_equal(mailbox_drain(mb, &reader, 100), 0);
	mailbox_free(mb);
}

/* What `max` left inside wakes the reader again without another sender. */
static void rest_of_a_batch_is_announced(void **state)
{
	struct letter letters[3];
	struct reader reader = { 0 };
	struct mailbox *mb;

	(void)state;
	write_letters(letters, COUNT_OF(letters));
	assert_int_equal(mailbox_new(&mb, 16), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(mailbox_post(mb, &letters[i].mail, false), 0);
	mailbox_ack(mb);
	assert_int_equal(mailbox_drain(mb, &reader, 2), 2);
	assert_true(is_readable(mb));
	mailbox_ack(mb);
	assert_int_equal(mailbox_drain(mb, &reader, 1), 1);
	assert_false(is_readable(mb));
	mailbox_free(mb);
}

static void rounds_and_rounds(void **state)
{
	struct letter letters[7];
	struct mailbox *mb;

	(void)state;
	assert_int_equal(mailbox_new(&mb, 0), 0); /* becomes 4 */
	for (int round = 0; round < 1000; round++) {
		struct reader reader = { 0 };
		unsigned n = 1 + (unsigned)round % 4;

		write_letters(letters, n);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(mailbox_post(mb, &letters[i].mail, true), 0);
		assert_int_equal(mailbox_drain(mb, &reader, 10), n);
		assert_int_equal(reader.out_of_order, 0);
	}
	mailbox_free(mb);
}

struct sender {
	struct mailbox *mb;
	unsigned id;
	struct letter *letters;
};

static void *send_all(void *arg)
{
	struct sender *s = arg;

	for (unsigned i = 0; i < EACH; i++) {
		s->letters[i] = (struct letter){ .mail.deliver = on_letter, .sender = s->id, .number = i };
		while (mailbox_post(s->mb, &s->letters[i].mail, i % 3 == 0))
			sched_yield();
	}
	return NULL;
}

static void sleep_and_ack(struct mailbox *mb, int epoll)
{
	struct pollfd p = { .fd = mailbox_fd(mb), .events = POLLIN };

	(void)epoll;
	assert_int_equal(poll(&p, 1, 10000), 1); /* else a wake was missed */
	mailbox_ack(mb);
}

static void rest_and_rise(struct mailbox *mb, int epoll)
{
	struct epoll_event event;

	if (!mailbox_rest(mb))
		assert_int_equal(epoll_wait(epoll, &event, 1, 10000), 1); /* else a wake was missed */
	mailbox_rise(mb);
}

/* Four senders and a reader that sleeps on the descriptor: nothing lost, nothing turned around, no missed wake. */
static void keep_order(void (*sleep_on)(struct mailbox *mb, int epoll))
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	struct reader reader = { 0 };
	struct mailbox *mb;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	assert_int_equal(mailbox_new(&mb, 128), 0);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, mailbox_fd(mb), &event), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ mb, i, calloc(EACH, sizeof(struct letter)) };
		assert_non_null(senders[i].letters);
		assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
	}
	while (reader.seen < SENDERS * EACH) {
		sleep_on(mb, epoll);
		mailbox_drain(mb, &reader, BATCH);
	}
	for (unsigned i = 0; i < SENDERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(reader.expected[i], EACH);
		free(senders[i].letters);
	}
	assert_int_equal(reader.out_of_order, 0);
	assert_int_equal(mailbox_drain(mb, &reader, 1), 0);
	close(epoll);
	mailbox_free(mb);
}

static void order_of_each_sender(void **state)
{
	(void)state;
	keep_order(sleep_and_ack);
	keep_order(rest_and_rise);
}

/* Put, and woken for once. */
static void put_wakes_nobody(void **state)
{
	struct letter letters[2];
	struct reader reader = { 0 };
	struct mailbox *mb;

	(void)state;
	write_letters(letters, COUNT_OF(letters));
	assert_int_equal(mailbox_new(&mb, 16), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(mailbox_put(mb, &letters[i].mail, false), 0);
	assert_false(is_readable(mb));
	mailbox_wake(mb);
	assert_true(is_readable(mb));
	mailbox_ack(mb);
	assert_int_equal(mailbox_drain(mb, &reader, 100), 2);
	mailbox_free(mb);
}

/* Who is awake is not woken; the first mail after it lies down wakes it, once. */
static void no_wake_for_who_is_awake(void **state)
{
	struct letter letters[4];
	struct reader reader = { 0 };
	struct mailbox *mb;
	uint64_t writes;

	(void)state;
	write_letters(letters, COUNT_OF(letters));
	assert_int_equal(mailbox_new(&mb, 16), 0);
	mailbox_rise(mb);
	assert_int_equal(mailbox_post(mb, &letters[0].mail, false), 0);
	assert_true(mailbox_rest(mb)); /* there is mail: it must not sleep */
	assert_int_equal(mailbox_post(mb, &letters[1].mail, false), 0);
	assert_false(is_readable(mb));
	assert_int_equal(mailbox_drain(mb, &reader, 100), 2);
	assert_false(mailbox_rest(mb));
	for (int i = 2; i < 4; i++)
		assert_int_equal(mailbox_post(mb, &letters[i].mail, false), 0);
	assert_int_equal(read(mailbox_fd(mb), &writes, sizeof(writes)), sizeof(writes));
	assert_int_equal(writes, 1);
	mailbox_rise(mb);
	assert_int_equal(mailbox_drain(mb, &reader, 100), 2);
	mailbox_free(mb);
}

static void refusals(void **state)
{
	struct mailbox *mb = NULL;

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		oom_in = i;
		assert_int_equal(mailbox_new(&mb, 16), -ENOMEM);
		assert_null(mb);
	}
	assert_int_equal(mailbox_new(&mb, SIZE_MAX), -ENOMEM);
	mailbox_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_quarter_is_for_urgent_mail), cmocka_unit_test(one_wake_per_batch),
		cmocka_unit_test(rest_of_a_batch_is_announced),    cmocka_unit_test(rounds_and_rounds),
		cmocka_unit_test(order_of_each_sender),            cmocka_unit_test(refusals),
		cmocka_unit_test(no_wake_for_who_is_awake), cmocka_unit_test(put_wakes_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
