"""The SparseCTR network (docs/model.md) in PyTorch's operators, and the same with dense causal attention: what the benchmarks compare with.

It answers requests, one JSON object per line on standard input, by one JSON object per line on standard output. All requests of a batch have
n - 1 behaviors and one candidate, n a multiple of the local window, so that every tensor is a batched one without padding; or there is one
request of several candidates, whose behaviors are a multiple of the window.

RelTemporal's terms of hour and weekend are sums of products of something of the query and something of the key: four more numbers at each query
and key put them into the product of queries and keys, and the logarithm alone is added as a matrix. Both kinds of attention have this; it is
faster than adding up all three terms.
"""

import json
import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional

DAY = 24 * 60 * 60
DENSE_PAIRS = 1 << 22
HIDDEN = float("-inf")


class Layout:
    """What attention needs to know of a batch's timestamps alone; one for all blocks and heads."""

    def __init__(self, times, config, is_dense):
        self.times, self.tau, self.is_dense = times, config["timeScale"], is_dense
        self.candidates = config.get("candidates", 1)
        seconds = (times % DAY).double() * (2 * math.pi / DAY)
        weekday = times % (7 * DAY) // DAY  # 1970-01-01 was a Thursday
        weekend = ((weekday == 2) | (weekday == 3)).float()
        # [B, n, 4]: products of them are cos(difference of hours) and equality of weekend.
        self.moments = torch.stack([seconds.cos().float(), seconds.sin().float(), weekend, 1 - weekend], 2)
        if is_dense:
            self._plan_dense()
        else:
            self._plan_sparse(config["chunks"], config["transitions"], config["window"])

    def _plan_dense(self):
        n = self.times.shape[1]
        self.log = self._log(self.times, self.times)
        self.mask = torch.full((n, n), HIDDEN).triu_(1)

    def _plan_sparse(self, chunks, transitions, window):
        times = self.times
        (batch, n), behaviors = times.shape, times.shape[1] - self.candidates
        self.window = window

        # The largest gaps, of equal ones the latest, are the boundaries of chunks.
        gaps = times[:, 1:behaviors] - times[:, :behaviors - 1]
        inner = (gaps * n + torch.arange(behaviors - 1)).topk(chunks - 1, 1).indices.sort(1).values + 1
        start = functional.pad(inner, (1, 0))
        end = functional.pad(inner, (0, 1), value=behaviors)
        own = torch.zeros(batch, n, dtype=torch.int64).scatter_(1, inner, 1).cumsum(1)
        own[:, behaviors:] = chunks  # a candidate sees all
        self.average = (own[:, None, :behaviors] == torch.arange(chunks)[:, None]) / (end - start)[:, :, None]

        self.last = end - 1
        places = end[:, :, None] + torch.arange(-transitions, 0)
        exists = places >= start[:, :, None]
        self.transition = places.clamp_(min=0).flatten(1)
        complete = torch.arange(chunks) < own[:, :, None]
        zero = torch.zeros(batch, 1, n, 1)
        self.global_mask = torch.cat([zero, self._mask(complete)[:, None]], 3)
        self.transition_mask = torch.cat([zero, self._mask((complete[:, :, :, None] & exists[:, None]).flatten(2))[:, None]], 3)
        self.global_log = functional.pad(self._log(times, times.gather(1, self.last)), (1, 0))
        self.transition_log = functional.pad(self._log(times, times.gather(1, self.transition)), (1, 0))

        # Queries in blocks of w, which see the keys of their own block and of the one before it. One candidate is in the last block; several are apart.
        if self.candidates > 1:
            self.past_log = self._log(times[:, behaviors:], times[:, behaviors - window:behaviors])
            times, n = times[:, :behaviors], behaviors
        blocks = times.view(batch, n // window, window)
        self.local_log = self._log(blocks, torch.cat([functional.pad(blocks, (0, 0, 1, 0))[:, :-1], blocks], 2))
        behind = torch.arange(window)[:, None] + window - torch.arange(2 * window)
        seen = ((behind >= 0) & (behind < window)).repeat(n // window, 1, 1)
        if self.candidates == 1:
            seen[-1, -1] |= behind[-1] == window  # a candidate sees w behaviors and itself
        seen[0, :, :window] = False
        self.local_mask = self._mask(seen)

    def _log(self, queries, keys):
        return (queries[..., :, None] - keys[..., None, :]).abs_().float().div_(self.tau).log1p_()

    @staticmethod
    def _mask(seen):
        return torch.zeros(seen.shape).masked_fill_(~seen, HIDDEN)


class RelTemporal(nn.Module):
    """The coefficients -a, b and c of each head."""

    def __init__(self, heads):
        super().__init__()
        self.coefficients = nn.Parameter(torch.zeros(heads, 3))
        with torch.no_grad():
            self.coefficients[:, 0] = -torch.linspace(0, 1, heads)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, self.heads = config["dimension"], config["heads"]
        self.query, self.key, self.value, self.output = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.gate = nn.Linear(d, 3 * self.heads, bias=False)
        self.temporal = RelTemporal(self.heads)

    def forward(self, x, layout, candidates_only):
        """[B, n, d] to [B, n, d] or, of the candidates only, [B, candidates, d]."""
        asking = x[:, -layout.candidates:] if candidates_only else x
        query = self._heads(self.query(asking)) / math.sqrt(x.shape[2] // self.heads)
        moments = layout.moments[:, None, -asking.shape[1]:] * self.temporal.coefficients[:, [1, 1, 2, 2]][:, None]
        query = torch.cat([query, moments], 3)
        key, value = self.key(x), self.value(x)
        if layout.is_dense:
            attended = self._dense(query, self._keys(key, layout.moments), self._heads(value), layout)
        else:
            gates = self.gate(asking).sigmoid().view(len(x), -1, 3, self.heads, 1).permute(2, 0, 3, 1, 4)
            attended = self._sparse(query, key, value, gates, layout)
        return self.output(attended.transpose(1, 2).flatten(2))

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
            local = self._attend(query, key[:, :, seen], value[:, :, seen], torch.zeros(1), layout._log(last[0], last[1]))
        else:
            local = self._of_behaviors(query, key, value, layout)
        return total.addcmul(gates[2], local)

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
        return bias.baddbmm(query, key.transpose(1, 2)).softmax(2).bmm(value).view(shape)

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
    def __init__(self, config):
        super().__init__()
        d = config["dimension"]
        self.attention_norm, self.attention = RmsNorm(d), Attention(config)
        self.feed_forward_norm, self.feed_forward = RmsNorm(d), SwiGlu(d, config["feedForward"])
        self.dropout = nn.Dropout(config["dropout"])

    def forward(self, x, layout, candidates_only):
        attended = self.attention(self.attention_norm(x), layout, candidates_only)
        y = (x[:, -layout.candidates:] if candidates_only else x) + self.dropout(attended)
        return y + self.dropout(self.feed_forward(self.feed_forward_norm(y)))


class Network(nn.Module):
    """Its parameters have the names of the product's."""

    def __init__(self, config):
        super().__init__()
        d, e, hidden = config["dimension"], config["embedding"], config["head"]
        self.sequence_tables = nn.ModuleList(nn.Embedding(rows, e) for rows in config["sequenceRows"])
        self.user_tables = nn.ModuleList(nn.Embedding(rows, e) for rows in config["userRows"])
        self.token = nn.Linear(len(self.sequence_tables) * e, d)
        self.token_dropout, self.dropout = nn.Dropout(config["tokenDropout"]), nn.Dropout(config["dropout"])
        self.blocks = nn.ModuleList(Block(config) for _ in range(config["blocks"]))
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
    def products(self, request):
        matrix = torch.ones(512, 512)
        fastest = self._fastest(lambda: matrix @ matrix, request["seconds"])
        with open("/proc/self/maps") as maps:
            library = next((path for path in (line.split()[-1] for line in maps) if "blas" in path), "")
        return {"gigaflops": 2 * 512**3 / fastest / 1e9, "library": library, "version": torch.__version__}

    def load(self, request):
        """The sizes, and the batch that is measured from now on."""
        torch.set_num_threads(request["threads"])
        torch.manual_seed(1)
        self.config = request["config"]
        self.times = torch.tensor(request["times"])
        self.keys = [torch.tensor(field) for field in request["keys"]]
        self.users = [torch.tensor(field) for field in request["users"]]
        self.labels = torch.tensor(request["labels"], dtype=torch.float32)
        self.actions = {}
        return {}

    def check(self, request):
        """What the network computes with given weights: the logits; and the first block's attention, of given tokens, and its gradient."""
        network = self._network(request["weights"])
        layout = Layout(self.times, self.config, is_dense=False)
        x = torch.tensor(request["tokens"]).view(*self.times.shape, -1).requires_grad_()
        attended = network.blocks[0].attention(x, layout, False)
        attended.backward(torch.tensor(request["gradient"]).view_as(attended))
        logits = network(self.keys, self.users, layout)
        return {"attended": attended.flatten().tolist(), "tokensGradient": x.grad.flatten().tolist(), "logits": logits.tolist()}

    def score(self, request):
        """Takes weights, and gives the logits of the loaded request's candidates."""
        self.network = self._network(request["weights"])
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
            return self.network(self.keys, self.users, Layout(self.times, self.config, is_dense=False))

    def _network(self, weights):
        network = Network(self.config).eval()
        network.load_state_dict({name.replace(".table.", "."): torch.tensor(weight["values"]).view(weight["shape"]) for name, weight in weights.items()})
        return network

    def measure(self, request):
        """Milliseconds of the fastest of the repetitions that the given time has room for, after one that is not counted."""
        what, is_dense = request["what"], request["dense"]
        if (what, is_dense) not in self.actions:
            self.actions[what, is_dense] = self._action(what, is_dense)
            self.actions[what, is_dense]()
        return {"milliseconds": 1e3 * self._fastest(self.actions[what, is_dense], request["seconds"])}

    def memory(self, request):
        """Bytes that training steps take, at their peak, of what the process had before them."""
        step = self._action("training-step", request["dense"])
        before = self._kilobytes("VmRSS")
        for _ in range(request["steps"]):
            step()
        return {"bytes": 1024 * (self._kilobytes("VmHWM") - before)}

    def _action(self, what, is_dense):
        if what == "training-step":
            return self._training_step(is_dense)
        attention = Attention(self.config)
        layout = Layout(self.times, self.config, is_dense)
        x = torch.randn(*self.times.shape, self.config["dimension"], requires_grad=True)
        gradient = torch.randn_like(x)

        def forward():
            with torch.no_grad():
                attention(x, layout, False)

        def both():
            attention(x, layout, False).backward(gradient)

        return forward if what == "attention-forward" else both

    def _training_step(self, is_dense):
        network = Network(self.config).train()
        decayed = [parameter for name, parameter in network.named_parameters() if parameter.dim() >= 2 and "temporal" not in name]
        kept = [parameter for name, parameter in network.named_parameters() if parameter.dim() < 2 or "temporal" in name]
        optimizer = torch.optim.AdamW(
            [{"params": decayed}, {"params": kept, "weight_decay": 0}], lr=5e-3, betas=(0.9, 0.99), weight_decay=0.01, foreach=True)

        def step():
            optimizer.zero_grad(set_to_none=True)
            hidden = torch.rand(self.times.shape) < self.config["itemDropout"]
            keys = [self.keys[0].masked_fill(hidden, 0)] + self.keys[1:]
            logits = network(keys, self.users, Layout(self.times, self.config, is_dense))
            functional.binary_cross_entropy_with_logits(logits, self.labels).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1)
            optimizer.step()

        return step

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
    def _kilobytes(name):
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(name))


def main():
    measurements = Measurements()
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(measurements, request["do"])(request)), flush=True)


if __name__ == "__main__":
    main()
