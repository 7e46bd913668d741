#ifndef SERVER_RECOVER_H
#define SERVER_RECOVER_H

/*
 * luminousd --recover: looks into the data directory of a node that is
 * stopped, and with --force-new-cluster makes it the sole voter of a new
 * cluster. See node/node_recover.h.
 */

#include "config.h"

/*
 * Does what config->recover asks for, and appends to `text` what there is to
 * say; what goes wrong is logged, and nothing was changed then. 0, or an exit
 * status: CONFIG_EXIT_STATUS for what is refused, else SERVER_EXIT_...
 */
int
server_recover(const struct config *config, struct buf *text) ATTR_MUST_CHECK;

#endif
