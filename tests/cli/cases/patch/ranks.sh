# SPDX-License-Identifier: MIT
# Several processes, as launchers number them: each does its share, the last one makes the folder.
. "$CLI_TESTS/lib.sh"
seq 1 200000 > numbers.txt
options=(numbers.txt --split-lines --scheme space --shard-size 200k -q)
blt-patch "${options[@]}" -o alone
told env RANK=1 WORLD_SIZE=2 blt-patch "${options[@]}" -o torchrun
told env RANK=0 WORLD_SIZE=2 SLURM_PROCID=0 SLURM_NTASKS=1 blt-patch "${options[@]}" -o torchrun
for rank in 2 0 1; do told env SLURM_PROCID=$rank SLURM_NTASKS=3 blt-patch "${options[@]}" -o srun --json | grep -E '"(complete|parts.*|rank)"|exit'; done
for rank in 0 1; do OMPI_COMM_WORLD_RANK=$rank OMPI_COMM_WORLD_SIZE=2 SLURM_PROCID=0 SLURM_NTASKS=1 blt-patch "${options[@]}" -o mpirun > /dev/null; done
for rank in 0 1; do PMI_RANK=$rank PMI_SIZE=2 blt-patch "${options[@]}" -o mpiexec > /dev/null; done
told env RANK=9 blt-patch "${options[@]}" -o half                                           # one variable of a pair says nothing
told env SLURM_JOB_ID=7 SLURM_PROCID=0 SLURM_NTASKS=4 blt-patch "${options[@]}" -o batch    # a batch script is no task of srun
for folder in torchrun srun mpirun mpiexec half batch; do diff -r alone "$folder"; done
told env RANK=1 WORLD_SIZE=2 blt-patch "${options[@]}" -o alone                             # comes when all is done
told env RANK=2 WORLD_SIZE=2 blt-patch "${options[@]}" -o out
told env RANK=one WORLD_SIZE=2 blt-patch "${options[@]}" -o out
told blt-patch "${options[@]}" -o out --rank 1
told blt-patch "${options[@]}" -o alone --rank 0 --world-size 2 --force
told blt-patch - --scheme space -o out --rank 0 --world-size 2
ls
