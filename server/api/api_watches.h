#ifndef API_API_WATCHES_H
#define API_API_WATCHES_H

/* Watches, as the rest of the api sees them; api_watch.h is their inside. */

#include "api/api_impl.h"

void api_watches_init(struct api *api);
/* All have ended. */
void api_watches_release(struct api *api);
/* Tells what is new. */
void api_watches_step(struct api *api);
uint64_t api_watches_deadline(const struct api *api);
void api_watches_expire(struct api *api, uint64_t now_us);
/* Ends the streams, and answers those that wait: this node will tell nothing
 * more. */
void api_watches_close(struct api *api);
size_t api_watches_count(const struct api *api);

/* The ETag of a missing key, in answers to wait=. */
#define API_MISSING_TAG "\"0\""

/*
 * A GET of call->key that could be answered now, with `item` or, if that is
 * NULL, that there is none. False: it is to be. True: it has wait=, and waits
 * until that differs from what If-None-Match tells, or without it for the next
 * change, or until the time is over; `serve` looks again then, and asks this
 * again. Or it was refused and is answered.
 */
bool api_wait_for_change(struct api_call *call, const struct kv_item *item,
    void (*serve)(struct api_call *call));

#endif
