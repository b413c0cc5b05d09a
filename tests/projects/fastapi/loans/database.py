from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from loans.models import Member
from loans.settings import settings

engine = create_async_engine(settings.database_url)
Session = async_sessionmaker(engine, expire_on_commit=False)


async def member_by_handle(handle: str) -> Member | None:
    async with Session() as session:
        return await session.scalar(select(Member).where(Member.handle == handle))
