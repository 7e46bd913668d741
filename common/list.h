#ifndef COMMON_LIST_H
#define COMMON_LIST_H

/*
 * Intrusive doubly linked list, circular through its head. A linked node is
 * in exactly one list; list_remove leaves it unlinked, and unlinking an
 * unlinked (initialised) node does nothing.
 */

#include "common/macros.h"
#include <stdbool.h>

struct list {
	struct list *next;
	struct list *previous;
};

static inline void
list_init(struct list *list)
{
	list->next = list;
	list->previous = list;
}

static inline bool
list_empty(const struct list *list)
{
	return list->next == list;
}

static inline void
list_insert_before(struct list *place, struct list *node)
{
	node->previous = place->previous;
	node->next = place;
	place->previous->next = node;
	place->previous = node;
}

static inline void
list_push(struct list *head, struct list *node)
{
	list_insert_before(head, node);
}

static inline void
list_remove(struct list *node)
{
	node->previous->next = node->next;
	node->next->previous = node->previous;
	list_init(node);
}

/* Moves all of `from` behind the last of `to`; `from` is empty afterwards. */
static inline void
list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->previous = to->previous;
	from->previous->next = to;
	to->previous->next = from->next;
	to->previous = from->previous;
	list_init(from);
}

#define LIST_EACH(node, head)                                                  \
	for ((node) = (head)->next; (node) != (head); (node) = (node)->next)

/* The current node may be removed and freed in the body. */
#define LIST_EACH_SAFE(node, following, head)                                  \
	for ((node) = (head)->next, (following) = (node)->next;                \
	     (node) != (head);                                                 \
	     (node) = (following), (following) = (node)->next)

#endif
