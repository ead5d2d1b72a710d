"""Models past this machine: what a layout of them needs in memory and time, worked out without a weight or a device.

`architecture` knows models by name, `devices` hardware; `training` and `serving` make the tables, `hardware` asks every
device. All of it is arithmetic on public figures, whose assumptions are named beside the result.
"""
