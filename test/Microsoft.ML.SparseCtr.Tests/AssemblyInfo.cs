// libtorch has one random generator in a process: trainings side by side would draw from each other's.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
