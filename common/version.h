#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

/* The version of this build, such as "0.1.0"; the Makefile names it. */
const char *version_text(void);

#endif
