# Histories at random: one actor publishes, another subscribes, callbacks arrive or do not, the job prunes
# in between, and in the end the subscriber asks for what it has missed. Both are the library's own, in
# one process; only what would go over the network is handed over here.
#
# A subscriber keeps what it hears in the library's storage, or, as applications with hooks of their own
# do, somewhere else: then nothing is fetched anew when changes are missing, and only the report tells.
import json
import os
import random
import subprocess

import psycopg

from actingweb.actor import Actor
from actingweb.callback_processor import CallbackProcessor
from actingweb.config import Config
from actingweb.interface.actor_interface import ActorInterface
from actingweb.interface.subscription_manager import SubscriptionManager
from actingweb.remote_storage import RemotePeerStore
from actingweb.subscription import Subscription
from actingweb.subscription_config import SubscriptionProcessingConfig

config = Config(database="postgresql")
database = psycopg.connect(
    host=os.environ["PG_DB_HOST"], port=os.environ["PG_DB_PORT"], dbname=os.environ["PG_DB_NAME"],
    # Whoever lets time pass changes the daemon's tables, and the application's.
    user=os.environ["SUPERUSER"], autocommit=True,
)
NAMES = ["mood", "place", "name", "colour", "list"]
# Gaps are waited for, as the end comes within seconds.
PATIENCE = 1e9


class History:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.keeps = os.environ["KEEPS"]
        self.publisher = self.actor("publisher", seed)
        self.subscriber = self.actor("subscriber", seed)
        self.interface = ActorInterface(self.subscriber)
        made = self.publisher.create_subscription(
            peerid=self.subscriber.id, target="properties", granularity="high", callback=False
        )
        self.subid = made["subscriptionid"]
        mirror = Subscription(
            actor_id=self.subscriber.id, peerid=self.publisher.id, subid=self.subid, callback=True, config=config
        )
        assert mirror.create(target="properties", granularity="high")
        self.published = {}
        self.own = {}
        self.lost = 0
        self.pruned = 0
        self.dropping = False

    def actor(self, name, seed):
        actor = Actor(config=config)
        assert actor.create(url="http://localhost/", creator=f"{name}-{seed}@example.com", passphrase="p")
        return actor

    # What goes over the network.

    def get_resource(self, path):
        if not path.startswith("subscriptions/"):
            return dict(self.published)
        here = ActorInterface(Actor(self.publisher.id, config=config))
        found = here.subscriptions.get_subscription_with_diffs(
            peer_id=self.subscriber.id, subscription_id=self.subid
        )
        data = [
            {"sequence": diff["sequence"], "timestamp": str(diff["timestamp"]), "data": json.loads(diff["diff"])}
            for diff in found.get_diffs()
        ]
        return {"sequence": found.subscription_info.to_dict()["sequence"], "data": data}

    def change_resource(self, path, params):
        here = ActorInterface(Actor(self.publisher.id, config=config))
        found = here.subscriptions.get_subscription_with_diffs(
            peer_id=self.subscriber.id, subscription_id=self.subid
        )
        found.clear_diffs(seqnr=params["sequence"])
        return {}

    @property
    def trust(self):
        return {"peerid": self.publisher.id}

    def callback(self, diff, blob):
        if self.dropping:
            return
        self.processor().process_callback_sync(
            peer_id=self.publisher.id, subscription_id=self.subid, sequence=diff["sequence"],
            data=json.loads(blob), callback_type="diff", handler=self.handle,
        )

    # What the subscriber does.

    def processor(self):
        return CallbackProcessor(self.interface, gap_timeout_seconds=PATIENCE)

    def store(self):
        return RemotePeerStore(actor=self.interface, peer_id=self.publisher.id, validate_peer_id=False)

    def handle(self, callback):
        if self.keeps == "storage":
            self.store().apply_callback_data(callback.data)
        else:
            self.own.update(callback.data)

    def sync(self):
        manager = SubscriptionManager(self.subscriber)
        manager._get_peer_proxy = lambda peer_id: self
        settings = SubscriptionProcessingConfig(
            enabled=True, auto_storage=self.keeps == "storage", gap_timeout_seconds=PATIENCE
        )
        if self.keeps == "hooks":
            # As the library does it with hooks: it hands over what it gets, in order, and clears it.
            for diff in sorted(self.get_resource("subscriptions/")["data"], key=lambda diff: diff["sequence"]):
                self.processor().process_callback_sync(
                    peer_id=self.publisher.id, subscription_id=self.subid, sequence=diff["sequence"],
                    data=diff["data"], callback_type="diff", handler=self.handle,
                )
        result = manager.sync_subscription(self.publisher.id, self.subid, settings)
        assert result.success, result

    def seen(self):
        if self.keeps == "hooks":
            return {name: self.own.get(name) for name in self.published}
        stored = {name: self.store().get_value(name) for name in self.published}
        return {name: value and value.get("value") for name, value in stored.items()}

    # What happens.

    def publish(self):
        name, value = self.random.choice(NAMES), self.random.randrange(10**6)
        self.published[name] = value
        actor = Actor(self.publisher.id, config=config)
        actor.callback_subscription = lambda diff, blob, **_: self.callback(diff, blob)
        actor.register_diffs(target="properties", blob=json.dumps({name: value}))

    def prune(self):
        hours = self.random.choice([0, 0, 30, 60])
        database.execute("UPDATE maintd.watermarks SET seen_at = seen_at - make_interval(hours => %s)", [hours])
        database.execute(
            "UPDATE subscription_diffs SET timestamp = timestamp - make_interval(hours => %s) WHERE id = %s",
            [hours, self.publisher.id],
        )
        # Sometimes the subscriber is an actor of another database.
        is_elsewhere = self.random.random() < 0.5
        hide = "UPDATE subscriptions SET id = %s WHERE id = %s"
        elsewhere = "elsewhere " + self.subscriber.id
        if is_elsewhere:
            database.execute(hide, [elsewhere, self.subscriber.id])
        environment = {
            **os.environ,
            "MAINTD_JOBS__DIFF_PRUNE__KEEP_NEWEST": str(self.random.choice([1, 1, 2, 5])),
            "MAINTD_JOBS__DIFF_PRUNE__BATCH_SIZE": str(self.random.choice([1, 3, 1000])),
        }
        if self.random.random() < 0.7:
            environment["MAINTD_JOBS__DIFF_PRUNE__MAX_AGE"] = "2d"
        command = [os.environ["MAINTD"], "--json", "job", "run", "diff_prune"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(done.stdout)["report"]
        self.pruned += report["deleted"]
        for lost in report["diffs"]["lost"]:
            if lost["id"] == self.publisher.id:
                assert lost["subid"] == self.subid and lost["peers"] == [self.subscriber.id], lost
                self.lost += lost["diffs"]
        if is_elsewhere:
            database.execute(hide, [self.subscriber.id, elsewhere])

    def play(self):
        for _ in range(self.random.randint(3, 6)):
            for _ in range(self.random.randint(2, 9)):
                if self.random.random() < 0.3:
                    self.dropping = not self.dropping
                self.publish()
            self.prune()
            if self.random.random() < 0.2:
                self.sync()
        self.prune()
        self.sync()
        # What comes after that arrives.
        self.dropping = False
        self.publish()
        return {
            "is_equal": self.seen() == self.published,
            "lost": self.lost,
            "pruned": self.pruned,
            "seen": self.seen(),
            "published": self.published,
        }


first, last = (int(seed) for seed in os.environ["SEEDS"].split("-"))
print(json.dumps({seed: History(seed).play() for seed in range(first, last)}))
