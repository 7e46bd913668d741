#ifndef SERVER_DAMAGE_H
#define SERVER_DAMAGE_H

/*
 * What a node does with its directory when it does not know any more what it
 * promised: the log and the data are set aside in `damaged`, and it begins
 * again beside it. That directory is there until the node is a voter again and
 * has what the others have (node_status.begun_again): before, it may be the last
 * copy of its data. A crash at any step goes on where it was.
 *
 * The log is moved first: what is without it never counts.
 */

#include "common/err.h"
#include "common/macros.h"

#include <stdbool.h>

struct store_trash;

/* Damage was found, and this node has not all of it again yet. */
bool server_damage_pending(const char *data_dir);

/* The log was moved, or lost, and some data may not be yet: go on. */
bool server_damage_unfinished(const char *data_dir);

/*
 * Sets aside the log and all data, none of which is open, durably. If that was
 * done before, and this node has not been whole since, what is aside stays, as
 * it may be the last copy, and the log and data begun since are removed. Errors
 * as of store_dir_open and store_dir_remove; each is logged.
 */
int server_damage_set_aside(const char *data_dir) ATTR_MUST_CHECK;

/* Removes what was set aside, if there is any; store_trash_step gives back its
 * blocks. Errors as before, logged. */
int server_damage_forget(
    const char *data_dir, struct store_trash *trash) ATTR_MUST_CHECK;

/* ---- Whether anybody else can put this node in its place ---- */

/*
 * A note beside the log, which damage of the log leaves: the other voters are
 * no majority (node_is_needed), so that to begin again would be to wait for
 * ever. It is made as soon as such a membership is in effect, before it is
 * committed as a rule, and removed when none such is in effect or committed any
 * more. Where a crash came first it says so wrongly: the node then stops for an
 * operator who was not needed.
 */
bool server_damage_is_needed(const char *data_dir);

/* Makes or removes the note, durably. Errors as of store_dir_open, logged. */
int
server_damage_note_needed(const char *data_dir, bool needed) ATTR_MUST_CHECK;

#endif
