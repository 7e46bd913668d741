#ifndef TESTS_TEMP_DIR_H
#define TESTS_TEMP_DIR_H

/* A fresh directory in $TMPDIR, or /tmp; the path is freed by temp_dir_remove. */
char *temp_dir_make(void);

/* Removes it with all that is in it. */
void temp_dir_remove(char *path);

#endif
