#!/usr/bin/env node
process.stdout.write('farfield\n');
