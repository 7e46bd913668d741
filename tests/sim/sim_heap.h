#ifndef TESTS_SIM_HEAP_H
#define TESTS_SIM_HEAP_H

/* Events by time; those of one moment in the order in which they were made. */

#include "raft/raft.h"

enum sim_event_kind {
	SIM_EVENT_WAKE,       /* of a node: its inbox, then a turn */
	SIM_EVENT_RESTART,    /* of a node that is down */
	SIM_EVENT_PACKET,     /* object arrives at a node */
	SIM_EVENT_DIAL,       /* a node dials peer `number` */
	SIM_EVENT_PIECE_LOST, /* `number` of a snapshot has waited too long */
	SIM_EVENT_OPERATE,    /* request `number` of an operator is at a node */
	SIM_EVENT_CALL,       /* object, an operation, arrives at a node */
	SIM_EVENT_CANCEL,     /* so does the news that its client gave up */
	SIM_EVENT_CLIENT,     /* client `number` begins an operation */
	SIM_EVENT_REPLY,      /* object, an operation, is answered */
	SIM_EVENT_DEADLINE,   /* the client of object waits no longer */
	SIM_EVENT_WATCHER,    /* watcher `number` looks for a node */
	SIM_EVENT_WATCH,      /* it asks a node for more */
	SIM_EVENT_TOLD,       /* it gets object, a batch of events */
	SIM_EVENT_NEMESIS,    /* fault `number` strikes */
	SIM_EVENT_RELIEF,     /* fault `number` ends */
	SIM_EVENT_PHASE,      /* the run looks whether it may go on */
	SIM_EVENT_KINDS_COUNT
};

struct sim_event {
	raft_usec at;
	uint64_t sequence;
	enum sim_event_kind kind;
	raft_id node; /* 0: of none */
	uint64_t number;
	void *object;
};

/* A zeroed one is empty and valid. */
struct sim_heap {
	struct sim_event *events;
	size_t count;
	size_t capacity;
	uint64_t sequence;
};

void sim_heap_release(struct sim_heap *heap);
/* event->sequence is set here. */
void sim_heap_push(struct sim_heap *heap, const struct sim_event *event);
/* The earliest; false if there is none. */
bool sim_heap_pop(struct sim_heap *heap, struct sim_event *ret_event);

#endif
