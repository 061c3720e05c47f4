/* The verbs of the program: each is a main of its own, argv[0] being the verb. */
#ifndef TAPGLASS_APPS_VERBS_H
#define TAPGLASS_APPS_VERBS_H

int up_main(int argc, char **argv);
int ping_main(int argc, char **argv);
int drill_main(int argc, char **argv);

#endif
