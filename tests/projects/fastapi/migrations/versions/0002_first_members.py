"""first members"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.execute(
        """
        INSERT INTO members (handle, display_name) VALUES
            ('ines', 'Ines Prado'),
            ('jonas', 'Jonas Vik')
        """
    )


def downgrade():
    op.execute("DELETE FROM members WHERE handle IN ('ines', 'jonas')")
