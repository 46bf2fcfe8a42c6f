# The guard of a program: leads its process group, and takes the whole group away when standard input ends.
# That is what a pipe does when the process holding its other end is gone, however it went: nothing is left
# running even after `kill -9`.

# What ends the program politely must not end the guard, which has the last word.
trap '' HUP INT QUIT TERM PIPE
while read -r _; do :; done
kill -s KILL 0
