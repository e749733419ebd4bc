/* base/list.h - intrusive doubly linked list: a head is a node linked to itself. No locks: one owner. */
#ifndef BASE_LIST_H
#define BASE_LIST_H
#include <stdbool.h>
#include <stddef.h>

struct node {
	struct node *next, *prev;
};

#define owner_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define SCOPED(fn) __attribute__((cleanup(fn)))
#define STEAL(var) ({ __auto_type v_ = (var); (var) = NULL; v_; })

static inline void list_init(struct node *n)
{
	n->next = n->prev = n;
}

static inline bool list_empty(const struct node *head)
{
	return head->next == head;
}

static inline void list_push(struct node *head, struct node *n) /* at the tail */
{
	n->next = head;
	n->prev = head->prev;
	head->prev->next = n;
	head->prev = n;
}

static inline void list_push_front(struct node *head, struct node *n)
{
	list_push(head->next, n);
}

/* Harmless on a node that is in no list, if it was list_init()ed. */
static inline void list_del(struct node *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

#define list_each(it, head) for (struct node *it = (head)->next; it != (head); it = it->next)
/* `it` may be removed and freed in the body. */
#define list_each_safe(it, head) \
	for (struct node *it = (head)->next, *it##_n = it->next; it != (head); it = it##_n, it##_n = it->next)

#endif
