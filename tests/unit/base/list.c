/* tests/unit/base/list.c */
#include "base/list.h"
#include "tests/unit/base/unit.h"

struct item {
	int value;
	struct node node;
};

static int digits(const struct node *head)
{
	int n = 0;

	list_each(it, head)
		n = n * 10 + owner_of(it, struct item, node)->value;
	return n;
}

static void order(void **state)
{
	struct item a = { .value = 1 }, b = { .value = 2 }, c = { .value = 3 };
	struct node head;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	list_push(&head, &a.node);
	list_push(&head, &b.node);
	list_push_front(&head, &c.node);
	assert_int_equal(digits(&head), 312);
	list_del(&a.node);
	assert_int_equal(digits(&head), 32);
	list_del(&a.node); /* harmless */
	assert_int_equal(digits(&head), 32);
	list_push(&head, &a.node);
	assert_int_equal(digits(&head), 321);
	assert_false(list_empty(&head));
}

static void removed_while_walking(void **state)
{
	struct node head;
	int sum = 0;

	(void)state;
	list_init(&head);
	for (int i = 1; i <= 4; i++) {
		struct item *item = calloc(1, sizeof(*item));

		assert_non_null(item);
		item->value = i;
		list_push(&head, &item->node);
	}
	list_each_safe(it, &head) {
		struct item *item = owner_of(it, struct item, node);

		sum = sum * 10 + item->value;
		list_del(it);
		free(item);
	}
	assert_int_equal(sum, 1234);
	assert_true(list_empty(&head));
}

static void count_free(int **p)
{
	++**p;
}

static void scoped_and_stolen(void **state)
{
	char *from = "x", *to;
	int ended = 0;

	(void)state;
	{
		SCOPED(count_free) int *p = &ended;

		assert_int_equal(*p, 0);
	}
	assert_int_equal(ended, 1);
	to = STEAL(from);
	assert_null(from);
	assert_string_equal(to, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order),
		cmocka_unit_test(removed_while_walking),
		cmocka_unit_test(scoped_and_stolen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
