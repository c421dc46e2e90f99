"""What stands behind ./run: set up, start, watch, test and check Deskhand on one machine.

Law of this folder: only the standard library, because it runs before anything is installed; nothing of ours is imported
(the product is started as processes), and nothing here is imported by the product. The tests borrow its finders.
"""
