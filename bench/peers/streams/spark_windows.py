"""Spark Structured Streaming: tumbling windows of a minute, watermark of a second, on both cores, until the file is read.

The file is the only one in its folder and is read as a stream that ends; the state store and the checkpoint are its own.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

totals = {"windows": 0, "events": 0, "total": 0.0}


def count(results: DataFrame, batch: int) -> None:
    """Results of one micro-batch."""
    row = results.agg(f.count("*"), f.sum("events"), f.sum("total")).first()
    totals["windows"] += row[0]
    totals["events"] += row[1] or 0
    totals["total"] += row[2] or 0.0


def main(path: str) -> None:
    folder = Path(tempfile.mkdtemp())
    (folder / "in").mkdir()
    shutil.copy(path, folder / "in")
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    schema = "time_us BIGINT, key STRING, value DOUBLE"
    began_s = time.perf_counter()
    events = spark.readStream.schema(schema).parquet(str(folder / "in")).withColumn("at", f.timestamp_micros("time_us"))
    results = (
        events.withWatermark("at", "1 second")
        .groupBy(f.window("at", "1 minute"), "key")
        .agg(f.count("*").alias("events"), f.sum("value").alias("total"), f.max("value").alias("largest"))
    )
    query = (
        results.writeStream.outputMode("update")
        .trigger(availableNow=True)
        .option("checkpointLocation", str(folder / "checkpoint"))
        .foreachBatch(count)
        .start()
    )
    query.awaitTermination()
    print(json.dumps({"seconds": time.perf_counter() - began_s, **totals}))
    spark.stop()
    shutil.rmtree(folder)


main(sys.argv[1])
