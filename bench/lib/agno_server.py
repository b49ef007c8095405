"""Agno's AgentOS as its documentation sets it up: PostgreSQL by the asynchronous driver, session history on, telemetry off (a bench talks to
this machine only). One agent a model, with the model's id. Usage: agno_server.py PORT MODEL..., with AGNO_DATABASE_URL and AGNO_MODEL_BASE set.
"""

import os
import sys

import uvicorn
from agno.agent import Agent
from agno.db.postgres import AsyncPostgresDb
from agno.models.openai import OpenAIChat
from agno.os import AgentOS

db = AsyncPostgresDb(db_url=os.environ["AGNO_DATABASE_URL"])
agents = [
    Agent(
        id=model,
        name="Ada",
        instructions="You are Ada.",
        model=OpenAIChat(id=model, base_url=os.environ["AGNO_MODEL_BASE"], api_key="none"),
        db=db,
        add_history_to_context=True,
        telemetry=False,
    )
    for model in sys.argv[2:]
]
app = AgentOS(id="bench", agents=agents, db=db, telemetry=False).get_app()
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
