"""The SparseCTR network (docs/model.md) in PyTorch, and the same with dense causal attention: what the benchmarks compare with.

It answers requests, one JSON object per line on standard input, by one JSON object per line on standard output. All requests of a batch have
n - 1 behaviors and one candidate, n a multiple of the local window, so that every tensor is a batched one without padding; or there is one
request of several candidates, whose behaviors are a multiple of the window.

EvoAttention has several forms, which compute the same:
  operators    gathers and batched products, the local branch in blocks of w queries
  sdpa         scaled_dot_product_attention with a bias, over the n x n pairs of the local branch
  sdpa-blocks  the same with the local branch in blocks
  flex         flex_attention, which computes the bias of each pair where it needs it
A variant is one of them, run as it is or, with +compile or +graphs behind it, by torch.compile. With --check the script compares the variants that
the installed PyTorch has, and measures nothing.

RelTemporal's terms of hour and weekend are sums of products of something of the query and something of the key: four more numbers at each query
and key put them into the product of queries and keys, and the logarithm alone is added as a matrix. Both kinds of attention have this; it is
faster than adding up all three terms.
"""

import argparse
import contextlib
import gc
import json
import math
import sys
import time
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

try:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention
except ImportError:
    create_block_mask = flex_attention = None

DAY = 24 * 60 * 60
DENSE_PAIRS = 1 << 22
HIDDEN = float("-inf")
COMPILE_MODES = {"compile": "default", "graphs": "reduce-overhead"}
VARIANTS = ["operators", "operators+compile", "operators+graphs", "sdpa", "sdpa+compile", "sdpa-blocks", "sdpa-blocks+compile", "flex", "flex+compile"]
TOLERANCES = {"float32": 1e-4, "bfloat16": 1e-1}  # of the largest value; autocast rounds the bias of logits too


def form_of(variant):
    return variant.split("+")[0]


def compiled(function, variant):
    _, _, mode = variant.partition("+")
    return torch.compile(function, mode=COMPILE_MODES[mode], dynamic=False) if mode else function


def missing_for(variant, device):
    """What a variant needs and this PyTorch or device does not have; None where it can run."""
    form, _, mode = variant.partition("+")
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if mode and not hasattr(torch, "compile"):
        return "torch.compile (2.0)"
    if mode == "graphs" and device.type != "cuda":
        return "a GPU"
    if form.startswith("sdpa") and version < (2, 1):
        return "scaled_dot_product_attention with a scale (2.1)"
    if form == "flex" and (flex_attention is None or version < (2, 6)):
        return "flex_attention with gradients of what score_mod captures (2.6)"
    return None


class FlexKeys(NamedTuple):
    """What score_mod needs to know of keys: [B, keys] each."""

    times: torch.Tensor
    angles: torch.Tensor
    weekends: torch.Tensor
    hidden_below: torch.Tensor  # A query sees the key if more chunks than this are complete before it; None where the block mask says who sees whom.


class Layout:
    """What attention needs to know of a batch's timestamps alone; one for all blocks and heads."""

    def __init__(self, times, config, form, near=None):
        """near is the block mask of the local branch (near_blocks), of flex_attention alone."""
        self.times, self.tau, self.form, self.near = times, config["timeScale"], form, near
        self.candidates = config.get("candidates", 1)
        seconds = (times % DAY).double() * (2 * math.pi / DAY)
        weekday = times % (7 * DAY) // DAY  # 1970-01-01 was a Thursday
        weekend = ((weekday == 2) | (weekday == 3)).float()
        # [B, n, 4]: products of them are cos(difference of hours) and equality of weekend.
        self.moments = torch.stack([seconds.cos().float(), seconds.sin().float(), weekend, 1 - weekend], 2)
        if form == "dense":
            self._plan_dense()
        else:
            self._plan_sparse(config["chunks"], config["transitions"], config["window"])
        if form == "flex":
            self.tokens = FlexKeys(times, seconds.float(), weekend, None)
            chunk = torch.arange(config["chunks"], device=times.device).expand(len(times), -1)
            self.chunk_keys = self._flex_keys(self.last, chunk)
            self.transition_keys = self._flex_keys(self.transition, torch.where(self.exists, chunk[:, :, None], config["chunks"]).flatten(1))

    def _plan_dense(self):
        n = self.times.shape[1]
        self.log = self._log(self.times, self.times)
        self.mask = torch.full((n, n), HIDDEN, device=self.times.device).triu_(1)

    def _plan_sparse(self, chunks, transitions, window):
        times, device = self.times, self.times.device
        (batch, n), behaviors = times.shape, times.shape[1] - self.candidates
        self.window = window

        # The largest gaps, of equal ones the latest, are the boundaries of chunks.
        gaps = times[:, 1:behaviors] - times[:, :behaviors - 1]
        inner = (gaps * n + torch.arange(behaviors - 1, device=device)).topk(chunks - 1, 1).indices.sort(1).values + 1
        start = functional.pad(inner, (1, 0))
        end = functional.pad(inner, (0, 1), value=behaviors)
        own = torch.zeros(batch, n, dtype=torch.int64, device=device).scatter_(1, inner, 1).cumsum(1)
        own[:, behaviors:] = chunks  # a candidate sees all
        self.own = own
        number = torch.arange(chunks, device=device)
        self.average = (own[:, None, :behaviors] == number[:, None]) / (end - start)[:, :, None]

        self.last = end - 1
        places = end[:, :, None] + torch.arange(-transitions, 0, device=device)
        self.exists = places >= start[:, :, None]
        self.transition = places.clamp(min=0).flatten(1)
        # With flex_attention only the candidates, in the last block, need matrices.
        asking = slice(-self.candidates, None) if self.form == "flex" else slice(None)
        complete = number < own[:, asking, None]
        self.global_mask = self._behind_zero(self._mask(complete))[:, None]
        self.transition_mask = self._behind_zero(self._mask((complete[:, :, :, None] & self.exists[:, None]).flatten(2)))[:, None]
        self.global_log = self._behind_zero(self._log(times[:, asking], times.gather(1, self.last)))
        self.transition_log = self._behind_zero(self._log(times[:, asking], times.gather(1, self.transition)))
        if self.form == "flex":
            return
        if self.form == "sdpa":
            self.local_log = self._log(times, times)
            behind = torch.arange(n, device=device)[:, None] - torch.arange(n, device=device)
            self.local_mask = self._mask(self._is_near(behind, window) | (behind == window) & (behind[:, :1] == n - 1))
            return

        # Queries in blocks of w, which see the keys of their own block and of the one before it. One candidate is in the last block; several are apart.
        if self.candidates > 1:
            self.past_log = self._log(times[:, behaviors:], times[:, behaviors - window:behaviors])
            times, n = times[:, :behaviors], behaviors
        blocks = times.view(batch, n // window, window)
        self.local_log = self._log(blocks, torch.cat([functional.pad(blocks, (0, 0, 1, 0))[:, :-1], blocks], 2))
        behind = torch.arange(window, device=device)[:, None] + window - torch.arange(2 * window, device=device)
        seen = self._is_near(behind, window).repeat(n // window, 1, 1)
        if self.candidates == 1:
            seen[-1, -1] |= behind[-1] == window  # a candidate sees w behaviors and itself
        seen[0, :, :window] = False
        self.local_mask = self._mask(seen)

    def _log(self, queries, keys):
        return (queries[..., :, None] - keys[..., None, :]).abs_().float().div_(self.tau).log1p_()

    def _flex_keys(self, places, hidden_below):
        """Of tokens, behind the zero token, which every query sees."""
        times, angles, weekends = (self._behind_zero(row.gather(1, places)) for row in self.tokens[:3])
        return FlexKeys(times, angles, weekends, functional.pad(hidden_below, (1, 0), value=-1))

    @staticmethod
    def _behind_zero(keys):
        return functional.pad(keys, (1, 0))

    @staticmethod
    def _is_near(behind, window):
        return (behind >= 0) & (behind < window)

    @staticmethod
    def _mask(seen):
        return torch.zeros(seen.shape, device=seen.device).masked_fill_(~seen, HIDDEN)


def near_blocks(n, window, device):
    """The blocks of flex_attention's local branch: the w latest tokens; of the candidate, the last one, w behaviors and itself."""

    def sees(_batch, _head, query, key):
        behind = query - key
        return (behind >= 0) & (behind < window) | (query == n - 1) & (behind == window)

    return create_block_mask(sees, None, None, n, n, device=device)


class RelTemporal(nn.Module):
    """The coefficients -a, b and c of each head."""

    def __init__(self, heads):
        super().__init__()
        self.coefficients = nn.Parameter(torch.zeros(heads, 3))
        with torch.no_grad():
            self.coefficients[:, 0] = -torch.linspace(0, 1, heads)


class Attention(nn.Module):
    def __init__(self, config, form):
        super().__init__()
        d, self.heads, self.form = config["dimension"], config["heads"], form
        self.query, self.key, self.value, self.output = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.gate = nn.Linear(d, 3 * self.heads)
        self.temporal = RelTemporal(self.heads)

    def forward(self, x, layout, candidates_only):
        """[B, n, d] to [B, n, d] or, of the candidates only, [B, candidates, d]."""
        asking = x[:, -layout.candidates:] if candidates_only else x
        query = self._heads(self.query(asking)) / math.sqrt(x.shape[2] // self.heads)
        key, value = self.key(x), self.value(x)
        if self.form == "dense":
            attended = self._dense(self._queries(query, layout), self._keys(key, layout.moments), self._heads(value), layout)
        else:
            gates = self.gate(asking).sigmoid().view(len(x), -1, 3, self.heads, 1).permute(2, 0, 3, 1, 4)
            if self.form == "flex" and not candidates_only:
                attended = self._flex(query, key, value, gates, layout)
            else:
                attended = self._sparse(self._queries(query, layout), key, value, gates, layout)
        return self.output(attended.transpose(1, 2).flatten(2))

    def _queries(self, query, layout):
        moments = layout.moments[:, None, -query.shape[2]:] * self.temporal.coefficients[:, [1, 1, 2, 2]][:, None]
        return torch.cat([query, moments], 3)

    def _dense(self, query, key, value, layout):
        """As many requests, or heads of one, at once as their n x n matrices stay in the processor's cache: several times as fast as all at once."""
        rows, pairs = slice(-query.shape[2], None), query.shape[2] * key.shape[2]
        heads = min(self.heads, max(1, DENSE_PAIRS // pairs))
        requests = max(1, DENSE_PAIRS // (pairs * self.heads))
        attended = []
        for first in range(0, len(query), requests):
            some = slice(first, first + requests)
            for head in range(0, self.heads, heads):
                part = slice(head, head + heads)
                attended.append(self._attend(query[some, part], key[some, part], value[some, part],
                                             layout.mask[rows], layout.log[some, None, rows], part).flatten(0, 1))
        return torch.cat(attended).view(*query.shape[:3], -1)

    def _sparse(self, query, key, value, gates, layout):
        rows, behaviors = slice(-query.shape[2], None), key.shape[1] - layout.candidates

        # Every query's chunks and transitions are the request's own, behind the zero token.
        chunk_key = self._keys(layout.average @ key[:, :behaviors], self._take(layout.moments, layout.last))
        chunk_value = self._heads(layout.average @ value[:, :behaviors])
        total = gates[0] * self._attend(query, self._with_zero(chunk_key), self._with_zero(chunk_value),
                                        layout.global_mask[:, :, rows], layout.global_log[:, None, rows])
        key, value = self._keys(key, layout.moments), self._heads(value)
        places = layout.transition[:, None, :, None]
        transition_key = key.gather(2, places.expand(-1, self.heads, -1, key.shape[3]))
        transition_value = value.gather(2, places.expand(-1, self.heads, -1, value.shape[3]))
        attended = self._attend(query, self._with_zero(transition_key), self._with_zero(transition_value),
                                layout.transition_mask[:, :, rows], layout.transition_log[:, None, rows])
        total = total.addcmul(gates[1], attended)

        if layout.candidates > 1:
            local = self._of_candidates(query[:, :, -layout.candidates:], key, value, layout)
            if query.shape[2] > layout.candidates:
                behind = (tensor[:, :, :behaviors] for tensor in (query, key, value))
                local = torch.cat([self._of_behaviors(*behind, layout), local], 2)
        elif query.shape[2] == 1:
            seen = slice(-layout.window - 1, None)
            last = (layout.times[:, None, -1:], layout.times[:, None, seen])
            local = self._attend(query, key[:, :, seen], value[:, :, seen], torch.zeros(1, device=key.device), layout._log(last[0], last[1]))
        elif self.form == "sdpa":
            local = self._attend(query, key, value, layout.local_mask, layout.local_log[:, None])
        else:
            local = self._of_behaviors(query, key, value, layout)
        return total.addcmul(gates[2], local)

    def _flex(self, query, key, value, gates, layout):
        behaviors = key.shape[1] - layout.candidates
        chunk_key, chunk_value = (self._heads(layout.average @ rows[:, :behaviors]) for rows in (key, value))
        key, value = self._heads(key), self._heads(value)
        places = layout.transition[:, None, :, None].expand(-1, self.heads, -1, key.shape[3])
        branches = [
            (self._with_zero(chunk_key), self._with_zero(chunk_value), layout.chunk_keys, None),
            (self._with_zero(key.gather(2, places)), self._with_zero(value.gather(2, places)), layout.transition_keys, None),
            (key, value, layout.tokens, layout.near),
        ]
        return sum(gate * flex_attention(query, keys, values, score_mod=self._score(layout, of_keys), block_mask=blocks, scale=1.0)
                   for gate, (keys, values, of_keys, blocks) in zip(gates, branches))

    def _score(self, layout, keys):
        """A score_mod: the logit with RelTemporal's bias, or minus infinity where the query must not see the key."""
        # Tensors of their own, each read once: what the gradients of captured tensors are made of.
        forget, same_hour, same_weekend = (self.temporal.coefficients[:, term].contiguous() for term in range(3))
        (times, angles, weekends, _), own, tau = layout.tokens, layout.own, layout.tau
        key_times, key_angles, key_weekends, hidden_below = keys

        def biased(score, batch, head, query, key):
            elapsed = (times[batch, query] - key_times[batch, key]).abs().float()
            return (score + forget[head] * torch.log1p(elapsed / tau)
                    + same_hour[head] * torch.cos(angles[batch, query] - key_angles[batch, key])
                    + same_weekend[head] * (1 - (weekends[batch, query] - key_weekends[batch, key]).abs()))

        def visible(score, batch, head, query, key):
            logit = torch.where(key == 0, score, biased(score, batch, head, query, key))
            return torch.where(own[batch, query] > hidden_below[batch, key], logit, HIDDEN)

        return biased if hidden_below is None else visible

    def _of_behaviors(self, query, key, value, layout):
        """The local branch in blocks of w."""
        blocks = (len(query), self.heads, -1, layout.window)
        local = self._attend(query.reshape(*blocks, query.shape[3]), self._with_previous(key.reshape(*blocks, key.shape[3])),
                             self._with_previous(value.reshape(*blocks, value.shape[3])), layout.local_mask, layout.local_log[:, None])
        return local.flatten(2, 3)

    def _of_candidates(self, query, key, value, layout):
        """The local branch of several candidates: each sees the w latest behaviors and itself."""
        own, past = slice(-layout.candidates, None), slice(-layout.candidates - layout.window, -layout.candidates)
        logits = query @ key[:, :, past].transpose(2, 3) + self.temporal.coefficients[:, 0].view(-1, 1, 1) * layout.past_log[:, None]
        weights = torch.cat([logits, (query * key[:, :, own]).sum(3, keepdim=True)], 3).softmax(3)
        return weights[..., :-1] @ value[:, :, past] + weights[..., -1:] * value[:, :, own]

    def _attend(self, query, key, value, mask, log, heads=slice(None)):
        """softmax(query . key + mask + -a log) . value, over any leading dimensions, of which the second is the heads."""
        forget = self.temporal.coefficients[heads, 0].view(-1, *[1] * (query.dim() - 2))
        bias = torch.addcmul(mask, forget, log).flatten(0, -3)
        shape = query.shape[:-1] + value.shape[-1:]
        query, key, value = (tensor.flatten(0, -3) for tensor in (query, key, value))
        if self.form.startswith("sdpa"):
            # The kernels that take a bias want four dimensions, and rows whose length is a multiple of eight.
            query, key = (functional.pad(tensor, (0, -tensor.shape[2] % 8)) for tensor in (query, key))
            attended = functional.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], attn_mask=bias[:, None], scale=1.0)
        else:
            attended = bias.baddbmm(query, key.transpose(1, 2)).softmax(2).bmm(value)
        return attended.view(shape)

    def _heads(self, x):
        return x.view(len(x), -1, self.heads, x.shape[2] // self.heads).transpose(1, 2)

    def _keys(self, key, moments):
        return torch.cat([self._heads(key), moments[:, None].expand(-1, self.heads, -1, -1)], 3)

    @staticmethod
    def _take(moments, places):
        return moments.gather(1, places[:, :, None].expand(-1, -1, moments.shape[2]))

    @staticmethod
    def _with_zero(rows):
        return functional.pad(rows, (0, 0, 1, 0))

    @staticmethod
    def _with_previous(blocks):
        return torch.cat([functional.pad(blocks[:, :, :-1], (0, 0, 0, 0, 1, 0)), blocks], 3)


class RmsNorm(nn.Module):
    def __init__(self, dimension):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dimension))

    def forward(self, x):
        return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * self.weight


class SwiGlu(nn.Module):
    def __init__(self, dimension, width):
        super().__init__()
        self.gate, self.up = nn.Linear(dimension, width, bias=False), nn.Linear(dimension, width, bias=False)
        self.down = nn.Linear(width, dimension, bias=False)

    def forward(self, x):
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, config, form):
        super().__init__()
        d = config["dimension"]
        self.attention_norm, self.attention = RmsNorm(d), Attention(config, form)
        self.feed_forward_norm, self.feed_forward = RmsNorm(d), SwiGlu(d, config["feedForward"])
        self.dropout = nn.Dropout(config["dropout"])

    def forward(self, x, layout, candidates_only):
        attended = self.attention(self.attention_norm(x), layout, candidates_only)
        y = (x[:, -layout.candidates:] if candidates_only else x) + self.dropout(attended)
        return y + self.dropout(self.feed_forward(self.feed_forward_norm(y)))


class Network(nn.Module):
    """Its parameters have the names of the product's."""

    def __init__(self, config, form):
        super().__init__()
        d, e, hidden = config["dimension"], config["embedding"], config["head"]
        self.sequence_tables = nn.ModuleList(nn.Embedding(rows, e) for rows in config["sequenceRows"])
        self.user_tables = nn.ModuleList(nn.Embedding(rows, e) for rows in config["userRows"])
        self.token = nn.Linear(len(self.sequence_tables) * e, d)
        self.token_dropout, self.dropout = nn.Dropout(config["tokenDropout"]), nn.Dropout(config["dropout"])
        self.blocks = nn.ModuleList(Block(config, form) for _ in range(config["blocks"]))
        self.norm = RmsNorm(d)
        self.hidden, self.logit = nn.Linear(d + len(self.user_tables) * e, hidden), nn.Linear(hidden, 1)

    def forward(self, keys, users, layout):
        """The logit of each candidate; keys are [B, n] for each field, users [candidates]."""
        embedded = [table(field) for table, field in zip(self.sequence_tables, keys)]
        x = self.token_dropout(self.token(torch.cat(embedded, 2)))
        for i, block in enumerate(self.blocks):
            x = block(x, layout, candidates_only=i == len(self.blocks) - 1)
        state = torch.cat([self.norm(x.flatten(0, 1))] + [table(field) for table, field in zip(self.user_tables, users)], 1)
        return self.logit(self.dropout(functional.silu(self.hidden(state)))).squeeze(1)


class Measurements:
    """Answers requests. With bfloat16, products and attention are autocast to it, and weights stay in float32."""

    def __init__(self, device="cpu", dtype="float32"):
        self.device, self.dtype = torch.device(device), getattr(torch, dtype)
        torch.backends.cuda.matmul.allow_tf32 = False  # float32 is float32, whatever the environment asks for

    def variants(self, request):
        """The variants, each with what is missing for it, if anything is."""
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU"
        return {"version": torch.__version__, "device": name, "missing": {variant: missing_for(variant, self.device) for variant in VARIANTS}}

    def products(self, request):
        torch.set_num_threads(request["threads"])
        matrix = torch.ones(512, 512)
        fastest = self._fastest(lambda: matrix @ matrix, request["seconds"])
        with open("/proc/self/maps") as maps:
            library = next((path for path in (line.split()[-1] for line in maps) if "blas" in path), "")
        return {"gigaflops": 2 * 512**3 / fastest / 1e9, "library": library, "version": torch.__version__}

    def load(self, request):
        """The sizes, and the batch that is measured from now on."""
        torch.set_num_threads(request["threads"])
        torch.manual_seed(1)
        self.actions = {}
        self.release()
        if hasattr(torch, "compile"):
            torch._dynamo.reset()  # It compiles for so many shapes only, and beyond them runs things uncompiled.
        self.config = request["config"]
        self.batch = [torch.tensor(request["times"]), torch.tensor(request["labels"], dtype=torch.float32)]
        self.batch += [torch.tensor(field) for field in request["keys"] + request["users"]]
        if self.device.type == "cuda":
            self.batch = [tensor.pin_memory() for tensor in self.batch]
        self.times, self.labels, self.keys, self.users = self._uploaded()
        return {}

    def check(self, request):
        """What the network computes with given weights: the logits; and the first block's attention, of given tokens, and its gradients."""
        variant = request["variant"]
        network = self._network(request["weights"], variant)
        attention, near = network.blocks[0].attention, self._near(variant)
        layout = Layout(self.times, self.config, form_of(variant), near)
        x = torch.tensor(request["tokens"], device=self.device).view(*self.times.shape, -1).requires_grad_()
        with self._autocast():
            attended = compiled(attention, variant)(x, layout, False)
        attended.backward(torch.tensor(request["gradient"], device=self.device, dtype=self.dtype).view_as(attended))
        gradients = [parameter.grad.flatten() for _, parameter in sorted(attention.named_parameters())]
        answer = {
            "attended": attended.flatten().tolist(),
            "tokensGradient": x.grad.flatten().tolist(),
            "weightsGradient": torch.cat(gradients).tolist(),
        }
        with self._autocast():
            logits = self._scoring(network, variant, near)(self.keys, self.users, self.times)
        return {**answer, "logits": logits.tolist()}

    def score(self, request):
        """Takes weights, and gives the logits of the loaded request's candidates."""
        self.scoring = self._scoring(self._network(request["weights"], "operators"), "operators", None)
        return {"logits": self._score().tolist()}

    def latencies(self, request):
        """Milliseconds of each scoring of the request, from its times and keys on, that the given time has room for."""
        latencies, end = [], time.perf_counter() + request["seconds"]
        while time.perf_counter() < end:
            start = time.perf_counter()
            self._score()
            latencies.append(1e3 * (time.perf_counter() - start))
        return {"milliseconds": latencies}

    def _score(self):
        with torch.inference_mode():
            return self.scoring(self.keys, self.users, self.times)

    def _scoring(self, network, variant, near):
        return compiled(lambda keys, users, times: network(keys, users, Layout(times, self.config, form_of(variant), near)), variant)

    def _network(self, weights, variant):
        network = Network(self.config, form_of(variant)).eval()
        network.load_state_dict({name.replace(".table.", "."): torch.tensor(weight["values"]).view(weight["shape"]) for name, weight in weights.items()})
        return network.to(self.device)

    def measure(self, request):
        """Milliseconds of a repetition, of those that the given time has room for, after some that are not counted: on the CPU of the fastest; on a
        GPU, which computes while the next ones are prepared, on average."""
        what, variant = request["what"], request["variant"]
        if (what, variant) not in self.actions:
            action = self._action(what, variant)
            for _ in range(4 if "+" in variant else 1):  # compiled, and recorded as a graph
                action()
            self.actions[what, variant] = action
        timed = self._fastest if self.device.type == "cpu" else self._average
        return {"milliseconds": 1e3 * timed(self.actions[what, variant], request["seconds"])}

    def memory(self, request):
        """Bytes that training steps take at their peak: on the CPU, of what the process had before them; on a GPU, in tensors."""
        step = self._action("training-step", request["variant"])
        before = self._kilobytes("VmRSS")
        for _ in range(request["steps"]):
            step()
        return {"bytes": 1024 * (self._kilobytes("VmHWM") - before) if self.device.type == "cpu" else torch.cuda.max_memory_allocated()}

    def release(self):
        """Gives back the memory of what is no longer measured."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _action(self, what, variant):
        if what == "training-step":
            return self._training_step(variant)
        attention = compiled(Attention(self.config, form_of(variant)).to(self.device), variant)
        layout = Layout(self.times, self.config, form_of(variant), self._near(variant))
        x = torch.randn(*self.times.shape, self.config["dimension"], device=self.device, requires_grad=True)
        gradient = torch.randn_like(x, dtype=self.dtype)

        def forward():
            with torch.no_grad(), self._autocast():
                attention(x, layout, False)

        def both():
            with self._autocast():
                attended = attention(x, layout, False)
            attended.backward(gradient)

        return forward if what == "attention-forward" else both

    def _training_step(self, variant):
        network = Network(self.config, form_of(variant)).to(self.device).train()
        decayed = [parameter for name, parameter in network.named_parameters() if parameter.dim() >= 2 and "temporal" not in name]
        kept = [parameter for name, parameter in network.named_parameters() if parameter.dim() < 2 or "temporal" in name]
        implementation = {"foreach": True} if self.device.type == "cpu" else {"fused": True}
        optimizer = torch.optim.AdamW(
            [{"params": decayed}, {"params": kept, "weight_decay": 0}], lr=5e-3, betas=(0.9, 0.99), weight_decay=0.01, **implementation)
        near = self._near(variant)

        def loss_of(times, labels, keys, users):
            hidden = torch.rand(times.shape, device=times.device) < self.config["itemDropout"]
            keys = [keys[0].masked_fill(hidden, 0)] + keys[1:]
            logits = network(keys, users, Layout(times, self.config, form_of(variant), near))
            return functional.binary_cross_entropy_with_logits(logits.float(), labels)

        loss_of = compiled(loss_of, variant)

        def step():
            optimizer.zero_grad(set_to_none=True)
            with self._autocast():
                loss = loss_of(*self._uploaded())
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1)
            optimizer.step()

        return step

    def _uploaded(self):
        """The batch's times, labels, and keys of tokens and of users, on the device."""
        times, labels, *keys = (tensor.to(self.device, non_blocking=True) for tensor in self.batch)
        fields = len(self.config["sequenceRows"])
        return times, labels, keys[:fields], keys[fields:]

    def _near(self, variant):
        return near_blocks(self.times.shape[1], self.config["window"], self.device) if form_of(variant) == "flex" else None

    def _autocast(self):
        return contextlib.nullcontext() if self.dtype == torch.float32 else torch.autocast(self.device.type, dtype=self.dtype)

    @staticmethod
    def _fastest(action, seconds):
        fastest, end = math.inf, time.perf_counter() + seconds
        while True:
            start = time.perf_counter()
            action()
            now = time.perf_counter()
            fastest = min(fastest, now - start)
            if now > end:
                return fastest

    @staticmethod
    def _average(action, seconds):
        torch.cuda.synchronize()
        start, repetitions = time.perf_counter(), 0
        while time.perf_counter() < start + seconds:
            action()
            repetitions += 1
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / repetitions

    @staticmethod
    def _kilobytes(name):
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(name))


def check_variants(device, dtype, variants):
    """Compares variants with the operators in float32, on random requests, and prints the largest differences; whether all are small."""
    torch.manual_seed(1)
    config = {
        "dimension": 64, "heads": 4, "chunks": 32, "transitions": 2, "window": 64, "timeScale": 60, "embedding": 16, "head": 64, "feedForward": 64,
        "blocks": 2, "sequenceRows": [1683, 7], "userRows": [944], "dropout": 0.1, "tokenDropout": 0.2, "itemDropout": 0.3,
    }
    batch, n = 3, 3 * config["window"]
    in_bursts = torch.where(torch.rand(batch, n) < 0.1, torch.randint(200_000, (batch, n)), torch.randint(120, (batch, n)))
    load = {
        "threads": torch.get_num_threads(), "config": config,
        "times": (1_600_000_000 + in_bursts.cumsum(1)).tolist(),
        "keys": [torch.randint(rows, (batch, n)).tolist() for rows in config["sequenceRows"]],
        "users": [torch.randint(rows, (batch,)).tolist() for rows in config["userRows"]],
        "labels": [0] * batch,
    }
    tokens = torch.randn(2, batch * n * config["dimension"])
    weights = {name: {"shape": value.shape, "values": (0.2 * torch.randn(value.numel())).tolist()}
               for name, value in Network(config, "operators").state_dict().items()}
    request = {"weights": weights, "tokens": tokens[0].tolist(), "gradient": tokens[1].tolist()}

    def computed(measurements, variant):
        measurements.load(load)
        return {what: torch.tensor(values) for what, values in measurements.check({**request, "variant": variant}).items()}

    expected = computed(Measurements(device), "operators")
    measurements, all_small = Measurements(device, dtype), True
    print(f"PyTorch {torch.__version__} on {measurements.variants({})['device']}, {dtype}: largest differences from operators in float32, of the largest value (or 1)")
    for variant in variants:
        missing = missing_for(variant, measurements.device)
        if missing:
            print(f"  {variant:<20} not here: needs {missing}")
            continue
        try:
            actual = computed(measurements, variant)
        except Exception as problem:  # what PyTorch cannot compile is no difference
            print(f"  {variant:<20} does not run: {first_line(problem)}")
            continue
        differences = {what: float((actual[what] - expected[what]).abs().max() / expected[what].abs().max().clamp(min=1)) for what in expected}
        is_small = all(difference <= TOLERANCES[dtype] for difference in differences.values())
        all_small &= is_small
        print(f"  {variant:<20} " + ", ".join(f"{what} {difference:.1e}" for what, difference in differences.items()) + ("" if is_small else "  DIFFERENT"))
    return all_small


def first_line(problem):
    return f"{type(problem).__name__}: {str(problem).strip().splitlines()[0] if str(problem).strip() else ''}"


def answer(measurements, request):
    try:
        return getattr(measurements, request["do"])(request)
    except Exception as problem:
        if not request.get("mayFail"):
            raise
        failed = {"failed": first_line(problem)}
    measurements.release()  # only here, where nothing holds what the failed attempt had
    return failed


def main():
    parser = argparse.ArgumentParser(description="The SparseCTR network in PyTorch: answers requests for measurements, or compares the network's variants.")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=list(TOLERANCES))
    parser.add_argument("--check", action="store_true", help="compare the variants, and end with 1 where they differ")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="for --check: this one alone, or several; all by default")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error(f"PyTorch {torch.__version__} of {sys.executable} sees no GPU")
    if arguments.check:
        return 0 if check_variants(arguments.device, arguments.dtype, arguments.variant or VARIANTS) else 1

    measurements = Measurements(arguments.device, arguments.dtype)
    for line in sys.stdin:
        print(json.dumps(answer(measurements, json.loads(line))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
